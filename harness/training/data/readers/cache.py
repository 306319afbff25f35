"""Data sets as files that the trials of a node map into memory: read and decoded once, and the pages shared.

A set lies in a folder of `$XDG_CACHE_HOME/soft-label-harness` (or `~/.cache/…`), an array a file, named by what it was
read from: files that change give another folder. It is written whole or not at all, and can be deleted at any time.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from harness.common.cache_dir import cache_dir
from harness.training.data.readers.raw import Array

Arrays = dict[str, Array]

FORMAT = 2
"""Goes up when what is stored changes."""


def cached(asked: Iterable[str], files: Iterable[Path], read: Callable[[], Arrays]) -> Arrays:
    """The arrays that `read` gives, from the cache if the same was asked of the same files before.

    Where the cache cannot be written, the arrays are this process's own.
    """
    folder = cache_dir() / _name(asked, files)
    if not folder.is_dir():
        arrays = read()
        with contextlib.suppress(OSError):
            _write(folder, arrays)
        if not folder.is_dir():
            return arrays
    # Copy on write: torch wants memory that it may write to, and pages stay shared as nobody does.
    return {file.stem: np.load(file, mmap_mode="c") for file in sorted(folder.glob("*.npy"))}


def _name(asked: Iterable[str], files: Iterable[Path]) -> str:
    digest = hashlib.blake2b(repr((FORMAT, *asked)).encode(), digest_size=12)
    for file in sorted(files):
        found = file.stat()
        digest.update(repr((str(file.resolve()), found.st_size, found.st_mtime_ns)).encode())
    return digest.hexdigest()


def _write(folder: Path, arrays: Arrays) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        for name, array in arrays.items():
            np.save(fresh / f"{name}.npy", array)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # only where it was not renamed, or another process was first
