"""Files that are there whole or not at all, whatever is killed or full while they are written."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE})
"""What a disk answers that takes nothing more: full, over quota, read-only, broken, gone."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Put in the place of `path` what `write` leaves at the path it is given, which has the same ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(fresh)
        fresh.replace(path)
    except BaseException:  # a full disk, an interrupt: the old file stays, and nothing beside it
        fresh.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """The same for a text."""
    write_atomically(path, lambda fresh: fresh.write_text(text))


def write_bytes(path: Path, content: bytes) -> None:
    write_atomically(path, lambda fresh: fresh.write_bytes(content))


def disk_error(error: BaseException | None) -> OSError | None:
    """The disk's own answer among what led to `error`; None where it was something else."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in DISK:
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
