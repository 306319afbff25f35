"""Cache of data sets on disk: decoded once a node, then mapped into memory, so that trials share the pages.

A set is a folder below `cache_dir()` with one npy file for each array. Its name is a digest of the settings and of the
files that were read, with their sizes and times (those of a link's target, and the time of a change of its name or
place too): changed files give another folder. It appears at once or not at all,
and can be deleted at any time.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from harness.common.user_dirs import cache_dir
from harness.training.data.readers.raw_part import Array

Arrays = dict[str, Array]

FORMAT = 8
"""Goes up when what is stored changes."""


def cache_key(settings: Iterable[str], files: Iterable[Path]) -> str:
    """Return the key of what these settings make of these files as they are now."""
    digest = hashlib.blake2b(repr((FORMAT, *settings)).encode(), digest_size=12)
    for file in sorted(map(os.path.abspath, files)):
        digest.update(file.encode(errors="surrogateescape"))
        with contextlib.suppress(OSError):  # an optional file, or a link to nothing
            info = os.stat(file)  # of what a link leads to
            digest.update(repr((info.st_size, info.st_mtime_ns, info.st_ctime_ns)).encode())
    return digest.hexdigest()


def cached_arrays(key: str, read: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of `read`, from the cache if they are there under this key.

    Where the cache cannot be written, the arrays are this process's own.
    """
    folder = cache_dir() / key
    if not folder.is_dir():
        arrays = read()
        with contextlib.suppress(OSError):
            _write(folder, arrays)
        if not folder.is_dir():
            return arrays
    # Copy on write: torch requires writable memory. Nothing writes to it, so processes share the pages.
    return {file.stem: np.load(file, mmap_mode="c") for file in sorted(folder.glob("*.npy"))}


def _write(folder: Path, arrays: Arrays) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name, array in arrays.items():
            np.save(fresh / f"{name}.npy", array)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # only where it was not renamed, or another process was first
