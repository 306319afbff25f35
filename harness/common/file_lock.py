"""Lock between processes: `flock` on an open file."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path, timeout: float = 0.0) -> Iterator[bool]:
    """Yield whether this process now holds the lock `path`, after `timeout` seconds at most.

    The lock ends with the block, or with the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout
    with path.open("a", encoding="utf-8") as file:
        while not (acquired := _try_lock(file.fileno())) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield acquired


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
