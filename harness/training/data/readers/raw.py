"""A data set as it was read, before it is cut: numpy arrays, checked.

A reader gives a training part and, where the set brings one, a test part; every reader's arrays pass `checked`, whose
errors say what a file should have held.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from harness.training.data.errors import DataError

Array = NDArray[Any]

UNKNOWN = -1
"""The true class of an image of which only the noisy label is known."""

RESIZE_BATCH = 4096


@dataclass(frozen=True)
class Raw:
    """One part of a data set. Images [N, channels, height, width], uint8 or float32; classes [N] int64."""

    images: Array
    truth: Array
    given: Array | None = None
    reference: Array | None = None  # [N, classes] float32, rows of sum 1

    def __getitem__(self, index: Array) -> "Raw":
        return Raw(
            self.images[index],
            self.truth[index],
            None if self.given is None else self.given[index],
            None if self.reference is None else self.reference[index],
        )


def checked(name: str, images: Array, truth: Array, given: Array | None, reference: Array | None, classes: int) -> Raw:
    """Arrays of a file as a `Raw`.

    Args:
        name: what the user knows the arrays by.
        images: [N, height, width] or [N, height, width, channels].
        classes: how many there are.

    Raises:
        DataError: shapes or values are not what they should be.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or not len(images):
        raise DataError(
            f"{name}: expected images [N, height, width] or [N, height, width, channels] with 1, 3 or 4 channels, "
            f"got shape {list(images.shape)}; transpose them"
        )
    if images.dtype != np.uint8:
        if not np.issubdtype(images.dtype, np.number) or not np.isfinite(images).all():
            raise DataError(f"{name}: expected images of finite numbers, got {images.dtype} with others; clean them")
        images = images.astype(np.float32)
    truth = _labels(f"{name}: true classes", truth, len(images), classes, UNKNOWN)
    if given is not None:
        given = _labels(f"{name}: given labels", given, len(images), classes, 0)
    if given is None and (truth == UNKNOWN).any():
        raise DataError(
            f"{name}: expected given labels for the images whose true class is -1, unknown; add them, or drop those"
        )
    if reference is not None:
        reference = _reference(name, reference, len(images), classes)
    return Raw(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), truth, given, reference)


def _labels(name: str, labels: Array, images: int, classes: int, least: int) -> Array:
    if labels.ndim != 1 or len(labels) != images or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name}: expected one whole number for each of {images} images, got {labels.dtype} of shape "
            f"{list(labels.shape)}; write class indices"
        )
    labels = labels.astype(np.int64)
    wrong = (labels < least) | (labels >= classes)
    if wrong.any():
        place = int(wrong.argmax())
        raise DataError(
            f"{name}: expected classes from {least} to {classes - 1}, got {labels[place]} at image {place} and "
            f"{int(wrong.sum())} such in all; correct the labels"
        )
    return labels


def _reference(name: str, reference: Array, images: int, classes: int) -> Array:
    if reference.shape != (images, classes) or not np.issubdtype(reference.dtype, np.number):
        raise DataError(
            f"{name}: expected reference labels [{images}, {classes}], got {reference.dtype} of shape "
            f"{list(reference.shape)}; give one row for each image and one column for each class"
        )
    totals = reference.sum(1, keepdims=True, dtype=np.float64)
    if not (reference >= 0).all() or not (totals > 0).all() or not np.isfinite(totals).all():
        raise DataError(f"{name}: expected reference labels of 0 or more with a positive sum in each row; correct them")
    shares: Array = (reference / totals).astype(np.float32)
    return shares


def stacked(name: str, images: Sequence[Array]) -> Array:
    """Images [height, width] or [height, width, 3] as one array; grey ones among coloured ones become coloured."""
    if not images:
        raise DataError(f"{name}: expected images, got none; look at what the folder holds")
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images]
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        smallest, largest = min(sizes), max(sizes)
        raise DataError(
            f"{name}: expected images of one size, got {smallest[0]}×{smallest[1]} to {largest[0]}×{largest[1]}; "
            "set image_size"
        )
    return np.stack(images)


def resized(raw: Raw, size: int) -> Raw:
    """With images scaled to `size` × `size`, bilinearly with antialiasing; 0 leaves them as they are."""
    if not size or raw.images.shape[2:] == (size, size):
        return raw
    scaled = []
    for start in range(0, len(raw.images), RESIZE_BATCH):
        images = torch.from_numpy(raw.images[start : start + RESIZE_BATCH]).float()
        images = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
        scaled.append((images.round().byte() if raw.images.dtype == np.uint8 else images).numpy())
    return replace(raw, images=np.concatenate(scaled))
