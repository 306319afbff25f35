"""Files that only grow, in a store that cannot append: as a whole, and segments of what came after it.

    NAME/study.journal              whole, as at the end of a sitting
    NAME/spool/records.log          whole
    NAME/tail/J-S                   one segment: what came behind byte J of the first and byte S of the second

    segment = its header as JSON in a line, then the bytes of each file

A segment holds both files, as they were at one moment: what is put together is what a driver killed at that moment
would have left on a disk, and every reader knows what to do with that. Joining is pure: bytes to bytes.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.tuning.storage.sweep_folder import FolderError

GROWING = ("study.journal", "spool/records.log")
TAIL = "tail/"
VERSION = 1


class BadSegments(FolderError):
    """Segments that do not make up the files they are of; says which, and what to do."""


@dataclass(frozen=True)
class Segment:
    """For each file the byte it begins at, and what follows there."""

    starts: tuple[int, ...]
    parts: tuple[bytes, ...]

    @property
    def name(self) -> str:
        """Names sort as segments do."""
        return TAIL + "-".join(f"{start:015d}" for start in self.starts)

    def encode(self) -> bytes:
        body = b"".join(self.parts)
        lengths = tuple(len(part) for part in self.parts)
        sum_ = _sum(self.starts, lengths, body)
        header = {"version": VERSION, "starts": self.starts, "lengths": lengths, "crc32": sum_}
        return json.dumps(header).encode() + b"\n" + body


def decode(content: bytes, where: str) -> Segment:
    """Raises:
    BadSegments: it is no whole segment.
    """
    line, _, body = content.partition(b"\n")
    try:
        header = json.loads(line)
        version, starts, lengths = header["version"], tuple(header["starts"]), tuple(header["lengths"])
        fits = header["crc32"] == _sum(starts, lengths, body) and sum(lengths) == len(body)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadSegments(_damaged(where, "something else")) from None
    if version != VERSION:
        raise BadSegments(
            f"{where}: expected a segment of version {VERSION}, got {version}; use the harness that wrote it"
        )
    if not fits or len(starts) != len(GROWING) or len(lengths) != len(GROWING):
        raise BadSegments(_damaged(where, "one whose checksum does not fit"))
    ends = [sum(lengths[: place + 1]) for place in range(len(lengths))]
    return Segment(starts, tuple(body[end - length : end] for end, length in zip(ends, lengths, strict=True)))


def join(whole: Sequence[bytes], segments: Iterable[Segment], where: str) -> tuple[bytes, ...]:
    """The files that `whole` and the segments behind it make up; what both hold has to be the same.

    Args:
        where: the sweep's place, for errors.

    Raises:
        BadSegments: one is missing, or does not go on from what is there: two drivers wrote.
    """
    files = [bytearray(content) for content in whole]
    for segment in sorted(segments, key=lambda segment: segment.starts):
        for name, file, start, part in zip(GROWING, files, segment.starts, segment.parts, strict=True):
            if start > len(file):
                raise BadSegments(
                    f"{where}/{name}: expected a segment that begins at byte {len(file)}, got {segment.name}: one is "
                    "missing; put a copy back, or remove this one and those behind it (what they told is run again)"
                )
            both = min(len(file) - start, len(part))
            if file[start : start + both] != part[:both]:
                raise BadSegments(
                    f"{where}/{segment.name}: expected what goes on from the {name} there, got something else: two "
                    "drivers wrote; remove those segments that are not to hold (what they told is run again)"
                )
            file += part[both:]
    return tuple(map(bytes, files))


def _sum(starts: tuple[int, ...], lengths: tuple[int, ...], body: bytes) -> str:
    return f"{zlib.crc32(body, zlib.crc32(json.dumps([starts, lengths]).encode())):08x}"


def _damaged(where: str, got: str) -> str:
    return (
        f"{where}: expected a whole segment, got {got}; put a copy back, or remove it and those behind it (what they "
        "told is run again)"
    )
