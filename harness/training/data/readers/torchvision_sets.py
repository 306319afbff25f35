"""Any image classification set of torchvision, read image by image through its own class, once a node."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.training.config.names import TORCHVISION
from harness.training.data.errors import DataError
from harness.training.data.readers.raw import Array, Raw, checked, stacked


def read(name: str, root: Path, download: bool, size: int) -> tuple[Raw, Raw | None]:
    """Training part, and the set's own test part or None. Images that differ in size need `size`.

    Raises:
        DataError: torchvision cannot read the set.
    """
    train, test = TORCHVISION[name]
    images, labels = _part(name, root, download, size, train)
    held_out = None if test is None else _part(name, root, download, size, test)
    classes = int(max(labels.max(), -1 if held_out is None else held_out[1].max())) + 1
    where = f"{name} in {root}"
    return (
        checked(where, images, labels, None, None, classes),
        None if held_out is None else checked(where, *held_out, None, None, classes),
    )


def _part(name: str, root: Path, download: bool, size: int, keywords: Mapping[str, Any]) -> tuple[Array, Array]:
    import torchvision.datasets  # costs seconds, and only these sets need it

    make = getattr(torchvision.datasets, name)
    wanted = {"download": True} if download else {}
    if name == "SEMEION":  # the one that downloads unless told not to
        wanted = {"download": download}
    try:
        part = make(root=root, **wanted, **keywords)
        pairs = [(_pixels(image, size), int(target)) for image, target in (part[i] for i in range(len(part)))]
    except (RuntimeError, OSError, TypeError, ValueError, ImportError) as error:
        raise DataError(
            f"{name}: torchvision could not read it from {root}: {error}; set data_root to the folder that holds it, "
            "or download: true"
        ) from error
    where = f"{name} in {root}"
    return stacked(where, [image for image, _ in pairs]), np.array([target for _, target in pairs])


def _pixels(image: Any, size: int) -> Array:
    image = image if image.mode in ("L", "RGB") else image.convert("RGB")
    return np.asarray(image.resize((size, size), resample=2, reducing_gap=3.0) if size else image)
