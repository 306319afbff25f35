"""A data set as a reader returns it, its arrays checked: the errors say what a file should hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.training.errors import DataError

Array = NDArray[Any]

UNKNOWN = -1
"""True class of an image of which only a noisy label is known."""


@dataclass(frozen=True)
class RawPart:
    """One part of a data set. Images [N, channels, height, width], uint8 or float32; classes [N] int64."""

    images: Array
    truth: Array
    classes: int
    given: Array | None = None  # [N] int64, noisy labels
    reference: Array | None = None  # [N, classes] float32, rows of sum 1

    def __getitem__(self, index: Array) -> "RawPart":
        given, reference = (None if each is None else each[index] for each in (self.given, self.reference))
        return RawPart(self.images[index], self.truth[index], self.classes, given, reference)


@dataclass(frozen=True)
class RawDataset:
    """A data set as a reader returns it. Without a test part, one is drawn from the training part.

    `class_names` has one name for each class; `remarks` say what the reader left out or counted, a sentence each.
    """

    train: RawPart
    test: RawPart | None
    class_names: tuple[str, ...]
    validation: RawPart | None = None
    remarks: tuple[str, ...] = ()


def checked_part(
    name: str, images: Array, truth: Array, classes: int, given: Array | None = None, reference: Array | None = None
) -> RawPart:
    """Check the arrays of a file, images [N, height, width] or [N, height, width, channels], and return a `RawPart`.

    A DataError begins with `name`.
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
    truth = _checked_labels(f"{name}: true classes", truth, len(images), classes, UNKNOWN)
    if given is not None:
        given = _checked_labels(f"{name}: given labels", given, len(images), classes, 0)
    elif (truth == UNKNOWN).any():
        raise DataError(
            f"{name}: expected given labels for the images whose true class is -1, unknown; add them, or drop those"
        )
    if reference is not None:
        reference = _checked_reference(name, reference, len(images), classes)
    return RawPart(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), truth, classes, given, reference)


def _checked_labels(name: str, labels: Array, images: int, classes: int, lowest: int) -> Array:
    if labels.ndim != 1 or len(labels) != images or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name}: expected one whole number for each of {images} images, got {labels.dtype} of shape "
            f"{list(labels.shape)}; write class indices"
        )
    labels = labels.astype(np.int64)
    wrong = (labels < lowest) | (labels >= classes)
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"{name}: expected classes from {lowest} to {classes - 1}, got {labels[first]} at image {first} and "
            f"{int(wrong.sum())} such in all; correct the labels"
        )
    return labels


def _checked_reference(name: str, reference: Array, images: int, classes: int) -> Array:
    if reference.shape != (images, classes) or not np.issubdtype(reference.dtype, np.number):
        raise DataError(
            f"{name}: expected reference labels [{images}, {classes}], got {reference.dtype} of shape "
            f"{list(reference.shape)}; give one row for each image and one column for each class"
        )
    totals = reference.sum(1, keepdims=True, dtype=np.float64)
    if not (reference >= 0).all() or not (totals > 0).all() or not np.isfinite(totals).all():
        raise DataError(f"{name}: expected reference labels of 0 or more with a positive sum in each row; correct them")
    return np.asarray(reference / totals, np.float32)


def image_array(image: Any, size: int) -> Array:
    """Return an image of PIL as an array, in grey or RGB, scaled to `size` × `size` unless that is 0."""
    image = image if image.mode in ("L", "RGB") else image.convert("RGB")
    return np.asarray(image.resize((size, size), resample=2, reducing_gap=3.0) if size else image)


def stack_images(name: str, images: Sequence[Array]) -> Array:
    """Stack images [height, width] or [height, width, 3]; grey ones among coloured ones become coloured."""
    if not images:
        raise DataError(f"{name}: expected images, got none; look at what the folder holds")
    if any(image.ndim == 3 for image in images):
        images = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images]
    sizes = sorted({image.shape[:2] for image in images})
    if len(sizes) > 1:
        smallest, largest = (f"{height}×{width}" for height, width in (sizes[0], sizes[-1]))
        raise DataError(f"{name}: expected images of one size, got {smallest} to {largest}; set image_size")
    return np.stack(images)
