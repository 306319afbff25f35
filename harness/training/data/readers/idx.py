"""MNIST, FashionMNIST and KMNIST as they are published: idx files, gzipped or not (LeCun, Cortes and Burges).

An idx file opens with two zero bytes, the type (8: unsigned byte), the number of dimensions, and each dimension as a
big-endian 32-bit number.
"""

import gzip
import math
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from harness.training.data.readers import torchvision_sets
from harness.training.data.readers.raw_part import Array, RawPart, checked_part
from harness.training.data.readers.reader import DataSource
from harness.training.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
DEBIAN = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
"""Where Debian's package dataset-fashion-mnist puts the set."""

HINT = {"FashionMNIST": ", or install Debian's package dataset-fashion-mnist"}


def read(source: DataSource) -> tuple[RawPart, RawPart]:
    name, root = source.dataset, source.root
    folder = _folder(source)
    if folder is None and source.download:
        _download(name, root)
        folder = _folder(source)
    if folder is None:
        raise DataError(
            f"{name}: expected {FILES[0]} (or .gz) and its companions in {root / name / 'raw'} or {root}, got "
            f"none; set data_root to where they are, download: true{HINT.get(name, '')}"
        )
    arrays = [_array(_file(folder, each)) for each in FILES]
    where = f"{name} in {folder}"
    return checked_part(where, arrays[0], arrays[1], 10), checked_part(where, arrays[2], arrays[3], 10)


def files(source: DataSource) -> Iterable[Path]:
    folder = _folder(source)
    return () if folder is None else folder.iterdir()


def problems(source: DataSource, noise: str) -> list[str]:
    if source.download or _folder(source) is not None:
        return []
    return [torchvision_sets.missing(source) + HINT.get(source.dataset, "")]


def _folder(source: DataSource) -> Path | None:
    """The folder that holds all four files, gzipped or not."""
    name, root = source.dataset, source.root
    for folder in (root / name / "raw", root / name, root, DEBIAN.get(name, root)):
        if all(_file(folder, each).exists() for each in FILES):
            return folder
    return None


def _download(name: str, root: Path) -> None:
    import torchvision.datasets  # takes seconds to import

    try:
        getattr(torchvision.datasets, name)(root=root, download=True)
    except (RuntimeError, OSError) as error:
        raise DataError(f"{name}: expected to download it to {root}, got the error: {error}; try again") from error


def _file(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"


def _array(file: Path) -> Array:
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: expected a whole gzip file, got the error: {error}; fetch it anew") from error
    dimensions = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * dimensions
    shape = [int(size) for size in np.frombuffer(content[4:start], ">u4")] if len(content) >= start else []
    if not shape or len(content) != start + math.prod(shape):
        raise DataError(f"{file}: expected an idx file of bytes, got {len(content)} of another form; fetch it anew")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
