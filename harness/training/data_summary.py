"""Summary of a data set as it was read: images and classes by part, labels, pixel range, copies, digest.

Every command that reads data shows it; a sweep keeps it and compares it whenever it goes on. Images are copies if all
their pixels are equal. `harness.training.data.summarise` makes it.
"""

import textwrap
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.common.formatting import format_list
from harness.training.config.run_config import RunConfig

LINE_WIDTH = 80
WRAPPER = textwrap.TextWrapper(
    LINE_WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
)

PartName = Literal["training", "validation", "test"]


class PartSummary(BaseModel):
    """One part of a data set, as its files have it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PartName
    images: int
    class_counts: list[int] = Field(description="images by true class")
    given: int = Field(description="images with a given label")
    given_wrong: int = Field(description="given labels that differ from a known true class")
    reference: int = Field(default=0, description="images with a soft reference label")
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


class DataSettings(BaseModel):
    """Settings of a run that determine the arrays of a data set; `DATA_SETTINGS` are their names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    data_root: str
    image_size: int
    given_labels: str
    require_given_labels: bool
    reference_labels: str

    def concerns(self, other: "RunConfig | DataSettings") -> bool:
        """Whether `other` is of the same data set under the same settings."""
        return all(getattr(self, name) == getattr(other, name) for name in DATA_SETTINGS)


DATA_SETTINGS = tuple(DataSettings.model_fields)
"""The one list of these settings: for the cache, the summary, what a space may search, and what trials may fail of."""


SETTINGS_OF_DATA_ERRORS = frozenset(
    {
        *DATA_SETTINGS,
        *("download", "max_image_pixels", "train_size", "meta_size", "val_size", "augment"),
        *("noise", "noise_rate", "noise_map", "batch_size", "meta_batch_size"),
        *("model", "width", "teacher", "label_gradient", "amp", "compile", "graph"),
    }
)
"""Settings that decide whether data and model fit. Where an arm searches none, all its trials fail alike."""


class DataSummary(DataSettings):
    """What was read of one data set under the settings that concern its files."""

    class_names: list[str]
    shape: list[int] = Field(description="channels, height, width")
    parts: list[PartSummary]
    remarks: list[str] = Field(description="what the reader left out or counted")
    digest: str = Field(description="of everything that was read, 16 hexadecimal digits")

    @property
    def majority_share(self) -> float | None:
        """Share of the most frequent class in the test part, or in that which it is a part of."""
        counts = next((part for part in self.parts if part.name == "test"), self.parts[0]).class_counts
        return max(counts) / sum(counts) if sum(counts) else None

    def changes_from(self, before: "DataSummary") -> list[str]:
        """What differs from an earlier summary of the same settings, a phrase each; the digests come last."""
        if self.digest == before.digest:
            return []
        facts = zip(_facts(before), _facts(self), strict=True)
        changed = [f"{name}: {earlier}, now {current}" for (name, earlier), (_, current) in facts if earlier != current]
        return [*changed, f"digest: {before.digest}, now {self.digest}"]

    @property
    def text(self) -> str:
        """The summary in lines of 80 columns, the first with `data:`."""
        first, *others = self._all_facts()
        lines = [f"data: {first}"]
        for fact in others:
            if len(lines[-1]) + len(" · ") + len(fact) <= LINE_WIDTH:
                lines[-1] += f" · {fact}"
            else:
                lines += WRAPPER.wrap(fact)
        return "\n".join(lines)

    @property
    def sentence(self) -> str:
        """The same in one line."""
        return " · ".join(self._all_facts())

    def _all_facts(self) -> list[str]:
        facts = [*self._settings(), *self._sizes(), *self._labels(), *self._copies(), *self.remarks]
        return [self.dataset, *facts, f"digest {self.digest}"]

    def _settings(self) -> Iterator[str]:
        """The settings that are not the default ones: they tell two data sets of one name apart."""
        for name in DATA_SETTINGS:
            if name != "dataset" and (value := getattr(self, name)) != RunConfig.model_fields[name].default:
                yield f"{name} {str(value).lower() if isinstance(value, bool) else value}"

    @property
    def noun(self) -> str:
        return "vectors" if self.shape[1:] == [1, 1] else "images"

    def _sizes(self) -> Iterator[str]:
        first, *others = self.parts
        if others:
            yield ", ".join(f"{part.name} {part.images:,}" for part in self.parts) + f" {self.noun}"
        else:
            yield f"{first.images:,} {self.noun}"
        if not any(part.name == "test" for part in self.parts):
            yield "a fifth of them is the test part"
        yield f"{len(self.class_names)} classes ({format_list(self.class_names)})"
        for part in self.parts:
            absent = [name for name, count in zip(self.class_names, part.class_counts, strict=True) if not count]
            if absent and sum(part.class_counts):
                yield f"no {part.name} {self.noun} of {format_list(absent)}"
        channels, height, width = self.shape
        size = f"{height}×{width}{f'×{channels}' if channels > 1 else ''}"
        ranges = [f"{f'{channels} features' if self.noun == 'vectors' else size} {first.pixel_range}"]
        ranges += [f"{part.name} {part.range}" for part in others if part.range != first.range]
        yield ", ".join(ranges)

    def _labels(self) -> Iterator[str]:
        for part in self.parts:
            unknown = part.images - sum(part.class_counts)
            if part.given:
                wrong = f", {part.given_wrong:,} differ from the true class" if sum(part.class_counts) else ""
                yield f"given labels for {part.given:,}{wrong}"
            if part.reference:
                yield f"reference labels for {part.reference:,} {part.name} {self.noun}"
            if unknown:
                yield f"true class unknown of {unknown:,}"

    def _copies(self) -> Iterator[str]:
        noun = self.noun
        for part in self.parts:
            if part.copies_of_training:
                yield f"copies: {part.copies_of_training:,} of {part.images:,} {part.name} {noun} are training {noun}"
            if part.copies and part.name == "training":
                yield f"copies: {part.copies:,} training {noun} equal others, and may fall into two parts"


def _facts(summary: DataSummary) -> Iterator[tuple[str, object]]:
    """(name, value) of what a person recognises as different, the same names for every summary."""
    parts = {part.name: part for part in summary.parts}
    for name in ("training", "validation", "test"):
        part = parts.get(name)
        yield f"{name} images", part.images if part else 0
        yield f"given labels that differ from the true class, {name} part", part.given_wrong if part else 0
        yield f"pixels, {name} part", part.pixel_range if part else "none"
    yield "classes", format_list(summary.class_names)
    yield "shape", "×".join(map(str, summary.shape))
