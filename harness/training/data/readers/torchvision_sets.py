"""Any image classification set of torchvision, read image by image through its own class."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.training.config.registry import TORCHVISION
from harness.training.data.readers.raw_part import Array, RawPart, checked_part, image_array, stack_images
from harness.training.data.readers.reader import DataSource
from harness.training.errors import DataError


def read(source: DataSource) -> tuple[RawPart, RawPart | None]:
    parts = [_arrays(source, keywords) for keywords in TORCHVISION[source.dataset] if keywords is not None]
    classes = 1 + max(int(labels.max()) for _, labels in parts)
    train, *test = (checked_part(_where(source), images, labels, classes) for images, labels in parts)
    return train, test[0] if test else None


def files(source: DataSource) -> Iterable[Path]:
    return source.root.iterdir() if source.root.is_dir() else ()


def problems(source: DataSource, noise: str) -> list[str]:
    return [] if source.download or source.root.is_dir() else [missing(source)]


def missing(source: DataSource) -> str:
    """The words for a set whose files are not there."""
    return (
        f"data_root: expected a folder with the files of {source.dataset}, got {source.root}; set data_root to where "
        "they are, or download: true"
    )


def _where(source: DataSource) -> str:
    return f"{source.dataset} in {source.root}"


def _arrays(source: DataSource, keywords: Mapping[str, Any]) -> tuple[Array, Array]:
    import torchvision.datasets  # takes seconds to import

    name = source.dataset
    wanted = {"download": True} if source.download else {}
    if name == "SEMEION":  # the one that downloads unless told not to
        wanted = {"download": source.download}
    images, labels = [], []
    try:
        part = getattr(torchvision.datasets, name)(root=source.root, **wanted, **keywords)
        for i in range(len(part)):
            image, target = part[i]
            images.append(image_array(image, source.image_size))
            labels.append(int(target))
    except (RuntimeError, OSError, TypeError, ValueError, ImportError) as error:
        raise DataError(
            f"{name}: torchvision could not read it from {source.root}: {error}; set data_root to the folder that "
            "holds it, or download: true"
        ) from error
    return stack_images(_where(source), images), np.array(labels)
