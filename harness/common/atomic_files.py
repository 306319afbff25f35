"""Atomic writes: a file is replaced as a whole. After a kill or on a full disk, the old file is still there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE})
"""Error numbers of a disk that cannot be written: full, over quota, read-only, broken, gone."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path of the same suffix, then move that file to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(fresh)
        fresh.replace(path)
    except BaseException:  # a full disk, an interrupt: the old file stays, and nothing beside it
        fresh.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda fresh: fresh.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda fresh: fresh.write_bytes(content))


def disk_error(error: BaseException | None) -> OSError | None:
    """The OSError of a full or broken disk that caused `error`; None if the cause is something else."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
