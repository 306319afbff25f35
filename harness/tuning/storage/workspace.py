"""Runs folders that lie elsewhere than where the driver works: where a worker finds a path of the driver's.

A driver works in a local folder in any case. Where that is the copy of one in an object store, its carrier is named
here while the driver is at it; on a local runs folder nothing is, and a path is its own place.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol

from harness.common.urls import Url


class Carrier(Protocol):
    """What keeps the folder of a sweep and its place in a store alike."""

    @property
    def folder(self) -> Path: ...

    @property
    def url(self) -> Url: ...

    def bring(self, under: str) -> None:
        """Fetch what workers left below a name."""

    def remove(self, names: Iterable[str]) -> None:
        """Take away objects."""


SHOWN = "runs-dir.url"
"""In a copy of a runs folder: what it is one of."""

_carriers: dict[Path, Carrier] = {}


@contextmanager
def carried(carrier: Carrier) -> Iterator[None]:
    _carriers[carrier.folder] = carrier
    try:
        yield
    finally:
        del _carriers[carrier.folder]


def shown(runs: Path) -> str:
    """What a user says for a runs folder: the address that it is a copy of, or its path."""
    with suppress(OSError):
        return (runs / SHOWN).read_text().strip()
    return str(runs)


def place(path: Path) -> Path | Url:
    """Where workers find what is at `path` for the driver."""
    carrier, name = _of(path)
    return path if carrier is None else carrier.url / name


def bring(path: Path) -> None:
    """Have in the folder `path` what workers left at its place."""
    carrier, name = _of(path)
    if carrier is not None:
        carrier.bring(str(name))


def remove(path: Path) -> None:
    """Take a file away, from its place too."""
    carrier, name = _of(path)
    if carrier is not None:
        carrier.remove([str(name)])
    path.unlink(missing_ok=True)


def _of(path: Path) -> tuple[Carrier | None, PurePosixPath]:
    for folder, carrier in _carriers.items():
        if path.is_relative_to(folder):
            return carrier, PurePosixPath(path.relative_to(folder))
    return None, PurePosixPath()
