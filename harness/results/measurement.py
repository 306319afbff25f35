"""Parts that several results share: an interval, a paired difference, a configuration's results over seeds."""

import math
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from harness.results.result_file import ResultPart
from harness.space.arm import Role

Finite = Annotated[float | None, BeforeValidator(lambda x: x if x is None or math.isfinite(x) else None)]
"""A number; None where it is infinite or not a number, which JSON does not know."""


class Interval(NamedTuple):
    """A 95 % confidence interval; an end is None where it is infinite, as of a single value."""

    low: Finite
    high: Finite

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

    arm: str
    role: Role
    method: str
    trial: int = Field(description="number of the search's trial that had it")
    params: dict[str, Any]
    n: int = Field(description="seeds on which it completed")
    seeds: list[int] = Field(description="those seeds")
    test_images: int = Field(description="number of test images")
    test_accuracy_mean: float | None = Field(description="None where no seed completed")
    ci95: Interval | None = Field(description="of that mean, over seeds")
    test_accuracy: list[float] = Field(description="one value per seed, in their order")
    val_accuracy_mean: float | None = None
    val_accuracy: list[float] = Field(default=[], description="one value per seed, in their order")
    val_objective_mean: float | None = Field(
        default=None, description="mean of the search's (first) objective on the seeds' validation parts"
    )
    search_value: float = Field(description="the (first) objective, as the search measured it")
    label_accuracy_mean: float | None = Field(
        default=None, description="share of training labels whose largest entry is the true class"
    )
    label_accuracy_ci95: Interval | None = None
    failed: dict[int, str] = Field(description="seeds on which it diverged, and why")
    objectives: dict[str, float | None] = Field(
        default={}, description="mean of each objective, where the search has several"
    )

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.trial}"

    def differences(self, other: "ConfigurationResults") -> list[float]:
        """Test accuracy minus that of `other`, on each seed that both completed."""
        theirs = dict(zip(other.seeds, other.test_accuracy, strict=True))
        ours = zip(self.seeds, self.test_accuracy, strict=True)
        return [accuracy - theirs[seed] for seed, accuracy in ours if seed in theirs]
