"""Disks that are too small, or that nobody may write to: real ones, where the tests may mount them."""

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, *what: str) -> Iterator[Path]:
    """`mount WHAT FOLDER`, taken off again afterwards."""
    folder.mkdir(exist_ok=True)
    try:
        finished = subprocess.run(["mount", *what, str(folder)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("expected the program mount, got none")
    if finished.returncode != 0:
        pytest.skip(f"expected to be allowed to mount, got: {finished.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def small_disk(folder: Path, megabytes: int) -> AbstractContextManager[Path]:
    return mounted(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")


def fill(disk: Path) -> Path:
    """A file that takes all the space that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler
