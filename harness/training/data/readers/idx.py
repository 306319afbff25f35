"""MNIST and its kin as they are published: idx files, gzipped or not (LeCun, Cortes and Burges).

An idx file opens with two zero bytes, the type (8: unsigned byte), the number of dimensions, and each dimension as a
big-endian 32-bit number.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from harness.training.data.errors import DataError
from harness.training.data.readers.paths import IDX_FILES, idx_folder
from harness.training.data.readers.raw import Array, Raw, checked


def read(name: str, root: Path, download: bool) -> tuple[Raw, Raw]:
    """Training and test part of the named set.

    Raises:
        DataError: the files are not there, or not whole.
    """
    folder = idx_folder(name, root)
    if folder is None and download:
        _download(name, root)
        folder = idx_folder(name, root)
    if folder is None:
        hint = ", or install Debian's package dataset-fashion-mnist" if name == "FashionMNIST" else ""
        raise DataError(
            f"{name}: expected {IDX_FILES[0]} (or .gz) and its companions in {root / name / 'raw'} or {root}, got "
            f"none; set data_root to where they are, download: true{hint}"
        )
    arrays = [_array(_file(folder, each)) for each in IDX_FILES]
    parts = [(f"{name} in {folder}", images, labels) for images, labels in (arrays[:2], arrays[2:])]
    train, test = (checked(where, images, labels, None, None, 10) for where, images, labels in parts)
    return train, test


def _download(name: str, root: Path) -> None:
    import torchvision.datasets  # costs seconds, and only a download needs it

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
