"""A data set as a reader returns it, its arrays checked: the errors say what a file should hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.training.errors import DataError

Array = NDArray[Any]

USUAL_CHANNELS = (1, 3, 4)
"""Numbers of channels of grey and coloured images, the last with transparency."""

SAMPLED_VALUES = 1_000_000
MAX_SPREADS = 1e5
"""Largest distance of a pixel from the median, in medians of such distances; 16-bit images stay below 65,536."""

MIN_SPREAD = 1e-30
"""Below it, and above its inverse, squares leave float32."""

MAX_FEATURE = 1e15
"""Largest feature of a vector: its square stays inside float32."""

UNKNOWN = -1
"""True class of an image of which only a noisy label is known."""


@dataclass(frozen=True)
class RawPart:
    """One part of a data set, as NumPy arrays. A reader returns it checked, with arrays as below.

    A user's own function may return images [N, height, width], [N, height, width, channels] or vectors [N, features].
    """

    images: Array  # [N, channels, height, width], uint8, float16 or float32
    truth: Array  # [N] int64: true classes, -1 where unknown
    classes: int  # number of classes
    given: Array | None = None  # [N] int64, noisy labels
    reference: Array | None = None  # [N, classes] float32, rows of sum 1
    paths: Array | None = None  # [N] UTF-8: the file of each image, relative to the folder of the data set

    def __getitem__(self, index: Array) -> "RawPart":
        optional = (None if array is None else array[index] for array in (self.given, self.reference, self.paths))
        return RawPart(self.images[index], self.truth[index], self.classes, *optional)


@dataclass(frozen=True)
class RawDataset:
    """A data set as a reader or a user's own function returns it.

    Without a test part, a fifth of the training part becomes one; without a validation part, each run draws one from
    the training part. `class_names` has one name for each class. `remarks` say what was left out or counted, a sentence
    each.
    """

    train: RawPart
    test: RawPart | None
    class_names: tuple[str, ...]
    validation: RawPart | None = None
    remarks: tuple[str, ...] = ()


def with_one_type(dataset: RawDataset) -> RawDataset:
    """The data set, its parts in one type where nothing is lost: whole numbers from 0 to 255 in `uint8`, as another
    part has them, and vectors of float16 beside float32 in float32."""
    parts = [part for part in (dataset.train, dataset.validation, dataset.test) if part is not None]
    types = {str(part.images.dtype) for part in parts}
    if types == {"float16", "float32"}:
        wanted: type = np.float32
    elif len(types) > 1 and "uint8" in types and all(_are_bytes(part.images) for part in parts):
        wanted = np.uint8
    else:
        return dataset
    others = {
        name: replace(part, images=part.images.astype(wanted))
        for name, part in (("validation", dataset.validation), ("test", dataset.test))
        if part is not None
    }
    train = replace(dataset.train, images=dataset.train.images.astype(wanted))
    return replace(dataset, train=train, **others)  # type: ignore[arg-type]


def _are_bytes(images: Array) -> bool:
    """Whether all numbers are whole ones from 0 to 255."""
    if images.dtype == np.uint8:
        return True
    return bool(images.min() >= 0 and images.max() <= 255 and (images == np.floor(images)).all())


def checked_part(
    name: str, images: Array, truth: Array, classes: int, given: Array | None = None, reference: Array | None = None
) -> RawPart:
    """Check the arrays of a file and return a `RawPart`.

    Images are [N, height, width] or [N, height, width, channels]. Vectors [N, features] become images of one pixel, a
    channel for each feature, so that each feature is standardised by itself.

    A DataError begins with `name`.
    """
    images = _checked_values(name, _channels_first(name, images))
    truth = _checked_labels(f"{name}: true classes", truth, len(images), classes, UNKNOWN)
    if given is not None:
        given = _checked_labels(f"{name}: given labels", given, len(images), classes, 0)
    elif (truth == UNKNOWN).any():
        raise DataError(
            f"{name}: expected given labels for the images whose true class is -1, unknown; add them, or drop those"
        )
    if reference is not None:
        reference = _checked_reference(name, reference, len(images), classes)
    return RawPart(np.ascontiguousarray(images), truth, classes, given, reference)


def _channels_first(name: str, images: Array) -> Array:
    """Images as [N, channels, height, width].

    Channels come last, in any number. Where only the other order can be meant, they come first: 1, 3 or 4, or fewer
    than there are pixels on a side, while the last dimension is neither.
    """
    if not len(images):
        raise DataError(f"{name}: expected images, got none, shape {list(images.shape)}; add some, or leave it out")
    if images.ndim == 2 and images.size:
        return images[:, :, None, None]
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size:
        raise DataError(
            f"{name}: expected images [N, height, width] or [N, height, width, channels], or vectors [N, features], "
            f"got shape {list(images.shape)}; reshape them"
        )
    _, first, middle, last = images.shape
    for usual in (
        (first in USUAL_CHANNELS, last in USUAL_CHANNELS),
        (first < min(middle, last), last < min(first, middle)),
    ):
        if any(usual):
            return images.transpose(0, 3, 1, 2) if usual[1] else images
    raise DataError(
        f"{name}: expected images [N, height, width, channels] with fewer channels than pixels on a side, got shape "
        f"{list(images.shape)}; transpose them, or drop channels"
    )


def _checked_values(name: str, images: Array) -> Array:
    """Pixels as uint8 or float32; DataError for what is no number, is alike everywhere, or would drown the others.

    Pixels are standardised by their mean and standard deviation. One far value decides on both, and the others become
    alike; beside a large mean, float32 rounds their differences away.
    """
    images = images.astype(np.uint8) if images.dtype == bool else images
    if images.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected images of numbers, got an array of {images.dtype}; convert it")
    if images.dtype.kind == "f" and not (finite := np.isfinite(images)).all():
        raise DataError(f"{name}: expected finite numbers, got {_places(images, ~finite)}; clean the images")
    low, high = float(images.min()), float(images.max())
    if low == high:
        raise DataError(f"{name}: expected images that differ, got {low:g} in every pixel; look at the files")
    if images.dtype == np.uint8:
        return images
    if images.shape[2:] == (1, 1):
        return _checked_features(name, images)
    sample = images[:: max(1, images.size // SAMPLED_VALUES)].astype(np.float64)
    middle = float(np.median(sample))
    distances = np.abs(sample - middle)
    distances = distances if distances.any() else np.abs(images.astype(np.float64) - middle)
    spread = float(np.median(distances[distances > 0]))
    if max(high - middle, middle - low) > MAX_SPREADS * spread:
        far = (images > middle + MAX_SPREADS * spread) | (images < middle - MAX_SPREADS * spread)
        raise DataError(
            f"{name}: expected pixels on one scale, got {_places(images, far)}, while half of those that differ from "
            f"{middle:.4g} are within {spread:.4g} of it; correct or clip them"
        )
    if not spread * 1e6 > max(abs(low), abs(high)) or not MIN_SPREAD < spread < 1 / MIN_SPREAD:
        raise DataError(
            f"{name}: expected pixels that float32 tells apart, got {low:g} to {high:g}, half within {spread:.4g} of "
            f"{middle:.10g}; subtract their mean and divide by their standard deviation"
        )
    return images.astype(np.float32)


def _checked_features(name: str, vectors: Array) -> Array:
    """Features [N, features, 1, 1] as float16 or float32, each on a scale of its own."""
    if max(abs(float(vectors.min())), abs(float(vectors.max()))) > MAX_FEATURE:
        far = np.abs(vectors) > MAX_FEATURE
        raise DataError(
            f"{name}: expected features of at most {MAX_FEATURE:g}, got {_places(vectors, far)}; correct or clip them"
        )
    return vectors if vectors.dtype == np.float16 else vectors.astype(np.float32)


def _places(images: Array, wrong: Array) -> str:
    """`nan at image 3, channel 0, row 2, column 5 (7 such)`, of images [N, channels, height, width]."""
    place = np.unravel_index(int(wrong.argmax()), wrong.shape)
    words = ", ".join(f"{axis} {i}" for axis, i in zip(("image", "channel", "row", "column"), place, strict=True))
    return f"{images[place]} at {words} ({int(wrong.sum())} such)"


def _checked_labels(name: str, labels: Array, images: int, classes: int, lowest: int) -> Array:
    if labels.ndim == 1 and len(labels) != images:
        raise DataError(f"{name}: expected one for each of {images} images, got {len(labels)}; give as many")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name}: expected one whole number for each of {images} images, got {labels.dtype} of shape "
            f"{list(labels.shape)}; write class indices"
        )
    labels = labels.astype(np.int64)
    wrong = (labels < lowest) | (labels >= classes)
    if wrong.any():
        first = int(wrong.argmax())
        got = "none" if labels[first] == UNKNOWN else labels[first]
        raise DataError(
            f"{name}: expected classes from {lowest} to {classes - 1}, got {got} at image {first} "
            f"({wrong.sum()} such); correct the labels"
        )
    return labels


def _checked_reference(name: str, reference: Array, images: int, classes: int) -> Array:
    if reference.shape != (images, classes) or not np.issubdtype(reference.dtype, np.number):
        raise DataError(
            f"{name}: expected reference labels [{images}, {classes}], got {reference.dtype} of shape "
            f"{list(reference.shape)}; give one row for each image and one column for each class"
        )
    totals = reference.sum(1, keepdims=True, dtype=np.float64)
    wrong = ~((reference >= 0).all(1) & (totals[:, 0] > 0) & np.isfinite(totals[:, 0]))
    if wrong.any():
        raise DataError(
            f"{name}: expected reference labels of 0 or more with a positive sum in each row, got others for image "
            f"{wrong.argmax()} ({wrong.sum()} such); correct them"
        )
    return np.asarray(reference / totals, np.float32)


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
