"""Summary of a data set as it was read: images and classes by part, labels, pixel range, copies, digest.

Every command that reads data shows it; a sweep keeps it and compares it whenever it goes on. Imports no torch.

The digest covers everything that was read, in its order: pixels, true classes, given and reference labels, class names.
Equal digests mean equal data. Images are copies if all their pixels are equal.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harness.training.config.run_config import RunConfig
from harness.training.data.readers.raw_part import Array, RawDataset, RawPart
from harness.training.errors import DataError

LINE_WIDTH = 80
NAMED_CLASSES = 5
SAMPLED_IMAGES = 1000
"""Images of a part, spread evenly, from which its standard deviation is estimated."""
MAX_DEVIATION_RATIO = 8.0
"""Largest ratio of the standard deviations of two parts of one scale; 0–255 beside 0–1 is 255, dark photographs
beside bright ones below 4."""
MIN_NEGATIVE_SHARE = 0.01
"""Share of negative pixels from which a part counts as centred around zero."""

PartName = Literal["training", "validation", "test"]


class PartSummary(BaseModel):
    """One part of a data set, as its files have it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PartName
    images: int
    class_counts: list[int] = Field(description="images by true class")
    given: int = Field(description="images with a given label")
    given_wrong: int = Field(description="given labels that differ from a known true class")
    dtype: str
    low: float
    high: float
    deviation: float = Field(description="standard deviation of all pixels")
    negative_share: float = Field(description="share of the pixels that are below zero")
    copies: int = Field(description="images that equal an earlier one of the part")
    copies_of_training: int = Field(description="images that equal one of the training part; 0 of that itself")

    @property
    def range(self) -> str:
        """`0 to 255`"""
        return f"{self.low:.4g} to {self.high:.4g}"

    @property
    def pixel_range(self) -> str:
        """`uint8 0 to 255`"""
        return f"{self.dtype} {self.range}"


class DataSummary(BaseModel):
    """What was read of one data set under the settings that concern its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    image_size: int
    given_labels: str
    reference_labels: str
    class_names: list[str]
    shape: list[int] = Field(description="channels, height, width")
    parts: list[PartSummary]
    remarks: list[str] = Field(description="what the reader left out or counted")
    digest: str = Field(description="of everything that was read, 16 hexadecimal digits")

    def concerns(self, other: "DataSummary") -> bool:
        """Whether both are of the same settings, and so should be equal."""
        names = ("dataset", "image_size", "given_labels", "reference_labels")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def changes_from(self, before: "DataSummary") -> list[str]:
        """What differs from an earlier summary of the same settings, a phrase each; the digests come last."""
        if self.digest == before.digest:
            return []
        facts = zip(_facts(before), _facts(self), strict=True)
        changed = [f"{name}: {was}, now {now}" for (name, was), (_, now) in facts if was != now]
        return [*changed, f"digest: {before.digest}, now {self.digest}"]

    @property
    def text(self) -> str:
        """The summary in lines of 80 columns, the first with `data:`."""
        lines = [f"data: {self.dataset}"]
        for fact in [*self._sizes(), *self._labels(), *self._copies(), *self.remarks, f"digest {self.digest}"]:
            if len(lines[-1]) + len(" · ") + len(fact) <= LINE_WIDTH:
                lines[-1] += f" · {fact}"
            else:
                lines.append(f"  {fact}")
        return "\n".join(lines)

    def _sizes(self) -> Iterator[str]:
        first, *others = self.parts
        if others:
            yield ", ".join(f"{part.name} {part.images:,}" for part in self.parts) + " images"
        else:
            yield f"{first.images:,} images"
        if not any(part.name == "test" for part in self.parts):
            yield "a fifth of them is the test part"
        yield f"{len(self.class_names)} classes ({_some(self.class_names)})"
        for part in self.parts:
            absent = [name for name, count in zip(self.class_names, part.class_counts, strict=True) if not count]
            if absent and sum(part.class_counts):
                yield f"no {part.name} images of {_some(absent)}"
        channels, height, width = self.shape
        ranges = [f"{height}×{width}{f'×{channels}' if channels > 1 else ''} {first.pixel_range}"]
        ranges += [f"{part.name} {part.range}" for part in others if part.range != first.range]
        yield ", ".join(ranges)

    def _labels(self) -> Iterator[str]:
        for part in self.parts:
            unknown = part.images - sum(part.class_counts)
            if part.given:
                wrong = f", {part.given_wrong:,} differ from the true class" if sum(part.class_counts) else ""
                yield f"given labels for {part.given:,}{wrong}"
            if unknown:
                yield f"true class unknown of {unknown:,}"

    def _copies(self) -> Iterator[str]:
        for part in self.parts:
            if part.copies_of_training:
                yield f"copies: {part.copies_of_training:,} of {part.images:,} {part.name} images are training images"
            if part.copies and part.name == "training":
                yield f"copies: {part.copies:,} training images equal others, and may fall into two parts"


def summarise(config: RunConfig, dataset: RawDataset) -> DataSummary:
    """Summarise a data set as its reader returned it."""
    parts: list[tuple[PartName, RawPart]] = [("training", dataset.train)]
    parts += [("validation", dataset.validation)] if dataset.validation is not None else []
    parts += [("test", dataset.test)] if dataset.test is not None else []
    digest = hashlib.blake2b(repr(dataset.class_names).encode(), digest_size=8)
    training_rows: Array | None = None
    summaries = []
    for name, part in parts:
        rows = _row_digests(part.images)
        digest.update(repr((name, part.images.shape, str(part.images.dtype))).encode())
        for key, array in (("rows", rows), ("truth", part.truth), ("given", part.given), ("ref", part.reference)):
            digest.update(key.encode() if array is not None else b"-")
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        summaries.append(_summarise_part(name, part, len(dataset.class_names), rows, training_rows))
        training_rows = rows if training_rows is None else training_rows
    return DataSummary(
        dataset=config.dataset,
        image_size=config.image_size,
        given_labels=config.given_labels,
        reference_labels=config.reference_labels,
        class_names=list(dataset.class_names),
        shape=list(dataset.train.images.shape[1:]),
        parts=summaries,
        remarks=list(dataset.remarks),
        digest=digest.hexdigest(),
    )


def check_scale(summary: DataSummary) -> None:
    """Raise DataError unless all parts store pixels in one type and on one scale.

    A part that is only a bit brighter passes: what counts are the type, the spread of the pixels, and whether a part is
    centred around zero while another has no pixel below it.
    """
    first, *others = summary.parts
    for part in others:
        low, high = sorted((first.deviation, part.deviation))
        shares = sorted((first.negative_share, part.negative_share))
        if (
            part.dtype != first.dtype
            or high > MAX_DEVIATION_RATIO * low
            or (shares[0] == 0 and shares[1] >= MIN_NEGATIVE_SHARE)
        ):
            raise DataError(
                f"{summary.dataset}: expected {first.name} and {part.name} images of one type and scale, got "
                f"{first.pixel_range} and {part.pixel_range}; store both alike"
            )


def _summarise_part(
    name: PartName, part: RawPart, classes: int, rows: Array, training_rows: Array | None
) -> PartSummary:
    known = part.truth >= 0
    sample = part.images[np.linspace(0, len(part.images) - 1, min(SAMPLED_IMAGES, len(part.images))).astype(int)]
    return PartSummary(
        name=name,
        images=len(part.truth),
        class_counts=np.bincount(part.truth[known], minlength=classes).tolist(),
        given=0 if part.given is None else len(part.given),
        given_wrong=0 if part.given is None else int((part.given != part.truth)[known].sum()),
        dtype=str(part.images.dtype),
        low=float(part.images.min()),
        high=float(part.images.max()),
        deviation=float(sample.std(dtype=np.float64)),
        negative_share=float((sample < 0).mean()),
        copies=len(rows) - len(np.unique(rows)),
        copies_of_training=0 if training_rows is None else int(np.isin(rows, training_rows).sum()),
    )


def _row_digests(images: Array) -> Array:
    """A digest of 64 bits of each image, [N]."""
    rows = (hashlib.blake2b(image, digest_size=8).digest() for image in np.ascontiguousarray(images))
    return np.frombuffer(b"".join(rows), dtype=np.uint64)


def _facts(summary: DataSummary) -> Iterator[tuple[str, object]]:
    """(name, value) of what a person recognises as different, the same names for every summary."""
    parts = {part.name: part for part in summary.parts}
    for name in ("training", "validation", "test"):
        part = parts.get(name)
        yield f"{name} images", part.images if part else 0
        yield f"given labels that differ from the true class, {name} part", part.given_wrong if part else 0
        yield f"pixels, {name} part", part.pixel_range if part else "none"
    yield "classes", _some(summary.class_names)
    yield "shape", "×".join(map(str, summary.shape))


def _some(names: Sequence[str]) -> str:
    """The first five names, and … for more."""
    return ", ".join([*names[:NAMED_CLASSES], *(["…"] if len(names) > NAMED_CLASSES else [])])
