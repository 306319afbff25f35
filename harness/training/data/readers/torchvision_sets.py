"""Any image classification set of torchvision, read image by image through its own class."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.training.config.registry import TORCHVISION
from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import normalized, numbered_classes
from harness.training.data.readers.formats.image_files import image_array
from harness.training.data.readers.raw_part import Array, RawDataset, checked_part, stack_images
from harness.training.data.readers.reader import data_root
from harness.training.errors import DataError


def problems(config: RunConfig) -> list[str]:
    root = data_root(config)
    if config.download or root.is_dir():
        return []
    return [
        f"data_root: expected a folder with the files of {config.dataset}, got {root}; set data_root to where they "
        "are, or download: true"
    ]


def files(config: RunConfig) -> Iterable[Path]:
    root = data_root(config)
    return root.iterdir() if root.is_dir() else ()


def read(config: RunConfig) -> RawDataset:
    parts = [_arrays(config, keywords) for keywords in TORCHVISION[config.dataset] if keywords is not None]
    classes = 1 + max(int(labels.max()) for _, labels, _ in parts)
    train, *test = (checked_part(config.dataset, images, labels, classes) for images, labels, _ in parts)
    return RawDataset(train, test[0] if test else None, _class_names(parts[0][2], classes))


def _class_names(published: Any, classes: int) -> tuple[str, ...]:
    """The names that torchvision's class has, of several for one class (ImageNet's) the first; else numbers."""
    if not isinstance(published, list | tuple) or len(published) != classes:
        return numbered_classes(classes)
    names = tuple(normalized(str(label[0] if isinstance(label, tuple) else label)) for label in published)
    return names if len(set(names)) == classes else numbered_classes(classes)  # ImageNet has two kinds of crane


def _arrays(config: RunConfig, keywords: Mapping[str, Any]) -> tuple[Array, Array, Any]:
    """Images, labels, and what the set calls its classes."""
    import torchvision.datasets  # takes seconds to import

    name, root = config.dataset, data_root(config)
    if config.download or name == "SEMEION":  # the only one that downloads by default
        keywords = {**keywords, "download": config.download}
    images, labels = [], []
    try:
        part = getattr(torchvision.datasets, name)(root=root, **keywords)
        for i in range(len(part)):
            image, target = part[i]
            images.append(image_array(image, config.image_size))
            labels.append(int(target))
    except (RuntimeError, OSError, TypeError, ValueError, ImportError) as error:
        raise DataError(
            f"{name}: torchvision could not read it from {root}: {error}; set data_root to the folder that holds it, "
            "or download: true"
        ) from error
    return stack_images(name, images), np.array(labels), getattr(part, "classes", None)
