"""Parts that several results share: an interval, a paired difference, a configuration's results over seeds."""

import math
from typing import Any, NamedTuple, Self

from pydantic import Field

from harness.results.result_file import ResultPart


class Interval(NamedTuple):
    """A 95 % confidence interval; an end is None where it is infinite, as of a single value."""

    low: float | None
    high: float | None

    @classmethod
    def from_ends(cls, low: float, high: float) -> Self:
        return cls(low if math.isfinite(low) else None, high if math.isfinite(high) else None)

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends; None where one is infinite."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class PairedDifference(ResultPart):
    """Mean difference of two test accuracies over the seeds that both completed."""

    mean_difference: float
    ci95: Interval
    n: int = Field(description="seeds")


class ConfigurationResults(ResultPart):
    """One configuration, trained on fresh seeds and measured on the test part."""

    trial: int = Field(description="number of the search's trial that had it")
    params: dict[str, Any]
    n: int = Field(description="seeds on which it completed")
    seeds: list[int] = Field(description="those seeds")
    test_accuracy_mean: float | None = Field(description="None where no seed completed")
    ci95: Interval | None = Field(description="of that mean, over seeds")
    test_accuracy: list[float] = Field(description="one value per seed, in their order")
    val_accuracy_mean: float | None = None
    val_accuracy: list[float] = Field(default=[], description="one value per seed, in their order")
    search_value: float = Field(description="the (first) objective, as the search measured it")
    label_accuracy_mean: float | None = Field(
        default=None, description="share of training labels whose largest entry is the true class"
    )
    label_accuracy_ci95: Interval | None = None
    failed: dict[int, str] = Field(description="seeds on which it diverged, and why")
    objectives: dict[str, float | None] = Field(
        default={}, description="mean of each objective, where the search has several"
    )
