"""CRC-32 checksums of JSON lines and of files.

    line:  {"key":1,"crc32":"xxxxxxxx"}\\n       the checksum of the object without its last key, in compact JSON
    file:  content \\n{"crc32":"xxxxxxxx"}\\n    the checksum of the content

A line stays valid JSON, so that a reader which knows nothing of checksums can read it. CRC-32 finds damage by accident;
it is no signature.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = "crc32"

_LINE_MARK = f',"{KEY}":"'.encode()
_FILE_MARK = f'\n{{"{KEY}":"'.encode()
_END = b'"}\n'


def crc32_hex(content: bytes) -> str:
    """CRC-32 of `content`, eight hex digits."""
    return f"{zlib.crc32(content):08x}"


def compact_json(value: Mapping[str, Any], *, allow_nan: bool = False) -> bytes:
    """JSON of `value` without spaces; ValueError for NaN and infinity unless `allow_nan`."""
    return json.dumps(value, separators=(",", ":"), allow_nan=allow_nan).encode()


def encode_line(value: Mapping[str, Any], *, allow_nan: bool = False) -> bytes:
    """Encode a non-empty object as one line of JSON that ends with its checksum."""
    body = compact_json(value, allow_nan=allow_nan)
    return body[:-1] + _LINE_MARK + crc32_hex(body).encode() + _END


def is_intact(line: bytes) -> bool:
    """Whether `line` ends with a newline and holds the right checksum."""
    body, mark, checksum = line.rpartition(_LINE_MARK)
    return bool(mark) and checksum == crc32_hex(body + b"}").encode() + _END


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


def append_checksum(file: Path) -> None:
    """Write the checksum of a file's content behind it."""
    checksum = 0
    with file.open("r+b") as opened:
        while chunk := opened.read(1 << 20):
            checksum = zlib.crc32(chunk, checksum)
        opened.write(_FILE_MARK + f"{checksum:08x}".encode() + _END)


def strip_checksum(content: bytes) -> bytes | None:
    """A file's content without its checksum; None where the checksum is missing or wrong."""
    body, mark, checksum = content.rpartition(_FILE_MARK)
    return body if mark and checksum == crc32_hex(body).encode() + _END else None
