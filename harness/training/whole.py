"""Files that are there whole or not at all, whatever is killed or full while they are written."""

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
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
    write_whole(path, lambda fresh: fresh.write_text(text))
