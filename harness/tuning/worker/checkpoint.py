"""A checkpoint on disk: torch's archive with a checksum behind it, and the one before kept beside it.

    checkpoint.pt = what torch.save writes, "\\ncrc32 ", the CRC-32 of all before in eight hex digits, a newline

Torch reads its archives without a look at the checksums in them, so a flipped bit would train on unseen; what is behind
the end of an archive it steps over, so `torch.load` reads such a file too. One that is not whole is taken away, so that
the next one does not drive out the last whole one, `checkpoint.previous.pt`. Nothing that a file may hold is run: it is
read as data alone.
"""

import io
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import torch

from harness.common.atomic_files import write_atomically
from harness.tuning.storage.sweep_folder import PREVIOUS

VERSION = 4
"""Of what a checkpoint holds."""

MARK = b"\ncrc32 "
TRAILER = len(MARK) + 9


@dataclass(frozen=True)
class Found:
    """What there is to go on from; None where a trial has to start anew. `remarks`: what was not whole, in words."""

    state: dict[str, Any] | None = None
    remarks: list[str] = field(default_factory=list)


class CorruptCheckpoint(Exception):
    """A file that cannot be gone on from; says what it is instead."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Put `state` at `path`, and what was there beside it. A kill at any moment leaves one of the two whole."""

    def write(fresh: Path) -> None:
        with fresh.open("wb") as file:
            summed = _Summed(file)
            torch.save({"version": VERSION, **state}, cast(IO[bytes], summed))
            file.write(MARK + b"%08x\n" % summed.crc)
        if path.exists():
            path.replace(path.with_name(PREVIOUS))

    write_atomically(path, write)


def load(path: Path) -> Found:
    """The last whole checkpoint of `path` and the one before it. What is damaged is taken away, and told."""
    remarks: list[str] = []
    for file in (path, path.with_name(PREVIOUS)):
        try:
            return Found(_read(file), _told(remarks, "the trial goes on from the one before it"))
        except FileNotFoundError:
            continue
        except OSError as error:
            remarks.append(f"{file}: expected a checkpoint that can be read, got: {error.strerror}")
        except CorruptCheckpoint as error:
            remarks.append(f"{file}: expected a whole checkpoint, got {error}")
            file.unlink(missing_ok=True)
    return Found(None, _told(remarks, "the trial starts anew"))


def discard(path: Path) -> None:
    """Take away both."""
    for file in (path, path.with_name(PREVIOUS)):
        file.unlink(missing_ok=True)


def _told(remarks: list[str], then: str) -> list[str]:
    return [f"{remark}; {then}" for remark in remarks]


def _read(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    whole, trailer = content[:-TRAILER], content[-TRAILER:]
    if not trailer.startswith(MARK):
        raise CorruptCheckpoint("one without its checksum at the end, cut short or of an older version")
    if trailer != MARK + b"%08x\n" % zlib.crc32(whole):
        raise CorruptCheckpoint("one whose checksum does not fit")
    try:
        state = torch.load(io.BytesIO(whole), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a stranger put there; many kinds, all of them told
        raise CorruptCheckpoint(f"what torch does not load as data ({_first_line(error)})") from error
    found = state.get("version") if isinstance(state, dict) else None
    if found != VERSION:
        raise CorruptCheckpoint(f"one of version {found}, not {VERSION}")
    return dict(state)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class _Summed:
    """Passes on what is written and adds up its CRC-32, so that no second copy is held to sum."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.crc = 0

    def write(self, data: bytes) -> int:
        self.crc = zlib.crc32(data, self.crc)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()
