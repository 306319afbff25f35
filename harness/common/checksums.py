"""CRC-32 checksums of JSON lines and of files.

    line:  {"key":1,"crc32":"xxxxxxxx"}\\n       the checksum of the object without its last key, in compact JSON
    file:  content \\n{"crc32":"xxxxxxxx"}\\n    the checksum of the content

A line stays valid JSON, so that a reader which knows nothing of checksums can read it. CRC-32 finds damage by accident;
it is no signature.
"""

import json
import zlib
from collections.abc import Mapping
from typing import IO, Any

KEY = "crc32"

_LINE_MARK = f',"{KEY}":"'.encode()
_LINE_END = b'"}\n'
_TRAILER_START = f'\n{{"{KEY}":"'.encode()
_TRAILER_SIZE = len(_TRAILER_START) + 8 + len(_LINE_END)


def crc32_hex(content: bytes) -> str:
    """CRC-32 of `content`, eight hex digits."""
    return f"{zlib.crc32(content):08x}"


def compact_json(value: Mapping[str, Any], *, allow_nan: bool = False) -> bytes:
    """JSON of `value` without spaces; ValueError for NaN and infinity unless `allow_nan`."""
    return json.dumps(value, separators=(",", ":"), allow_nan=allow_nan).encode()


def encode_line(value: Mapping[str, Any], *, allow_nan: bool = False) -> bytes:
    """Encode a non-empty object as one line of JSON that ends with its checksum."""
    body = compact_json(value, allow_nan=allow_nan)
    return body[:-1] + _LINE_MARK + crc32_hex(body).encode() + _LINE_END


def is_intact(line: bytes) -> bool:
    """Whether `line` ends with a newline and holds the right checksum."""
    body, mark, checksum = line.rpartition(_LINE_MARK)
    return bool(mark) and checksum == crc32_hex(body + b"}").encode() + _LINE_END


def decode_line(line: bytes) -> dict[str, Any] | None:
    """The object of a line without its checksum; None where the checksum is missing or wrong."""
    if not is_intact(line):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):  # anybody can write a line with a right checksum
        return None
    if not isinstance(value, dict):
        return None
    del value[KEY]
    return value


class ChecksumWriter:
    """Binary file that computes the CRC-32 of what is written, without a second copy in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._crc = 0

    def write(self, content: bytes) -> int:
        self._crc = zlib.crc32(content, self._crc)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    def write_trailer(self) -> None:
        """Write the checksum behind the content; call once, at the end."""
        self._file.write(_TRAILER_START + f"{self._crc:08x}".encode() + _LINE_END)


def has_trailer(content: bytes) -> bool:
    """Whether a file's content ends with a checksum, right or wrong."""
    return content[-_TRAILER_SIZE:].startswith(_TRAILER_START) and content.endswith(_LINE_END)


def strip_trailer(content: bytes) -> bytes | None:
    """A file's content without its checksum; None where the checksum is missing or wrong."""
    body, trailer = content[:-_TRAILER_SIZE], content[-_TRAILER_SIZE:]
    return body if trailer == _TRAILER_START + crc32_hex(body).encode() + _LINE_END else None
