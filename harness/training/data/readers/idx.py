"""MNIST, FashionMNIST and KMNIST as they are published: idx files, gzipped or not (LeCun, Cortes and Burges).

An idx file opens with two zero bytes, the type (8: unsigned byte), the number of dimensions, and each dimension as a
big-endian 32-bit number. What is not there yet torchvision downloads.
"""

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import numbered_classes
from harness.training.data.readers import torchvision_sets
from harness.training.data.readers.raw_part import Array, RawDataset, checked_part
from harness.training.data.readers.reader import data_root
from harness.training.errors import DataError

FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
_FASHION = "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
CLASS_NAMES = {
    "FashionMNIST": _FASHION,
    "KMNIST": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
}
"""As published; those of MNIST are its digits."""

DEBIAN = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
"""Where Debian's package dataset-fashion-mnist puts the set."""


def problems(config: RunConfig) -> list[str]:
    if config.download or _folder(config) is not None:
        return []
    name, root = config.dataset, data_root(config)
    hint = ", or install Debian's package dataset-fashion-mnist" if name in DEBIAN else ""
    return [
        f"data_root: expected {FILES[0]} (or .gz) and its companions in {root / name / 'raw'} or {root}, got none; set "
        f"data_root to where they are, or download: true{hint}"
    ]


def files(config: RunConfig) -> Iterable[Path]:
    folder = _folder(config)
    return () if folder is None else folder.iterdir()


def read(config: RunConfig) -> RawDataset:
    folder = _folder(config)
    names = CLASS_NAMES.get(config.dataset, numbered_classes(10))
    if folder is None:
        return replace(torchvision_sets.read(config), class_names=names)
    arrays = [_array(_file(folder, name)) for name in FILES]
    where = f"{config.dataset} in {folder}"
    train, test = (checked_part(where, arrays[i], arrays[i + 1], 10) for i in (0, 2))
    return RawDataset(train, test, names)


def _folder(config: RunConfig) -> Path | None:
    """The folder that holds all four files, gzipped or not."""
    name, root = config.dataset, data_root(config)
    for folder in (root / name / "raw", root / name, root, DEBIAN.get(name, root)):
        if all(_file(folder, file).exists() for file in FILES):
            return folder
    return None


def _file(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"


def _array(file: Path) -> Array:
    try:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        dimensions = content[3]
        shape = np.frombuffer(content, ">u4", dimensions, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, zlib.error, IndexError, ValueError) as error:
        raise DataError(f"{file}: expected a whole idx file of bytes, got the error: {error}; fetch it anew") from error
