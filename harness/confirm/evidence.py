"""What a verdict rests on: configurations with their results by seed, and how these are to be read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.confirm.configurations import Configuration
from harness.confirm.plan import RunResult
from harness.space import Space
from harness.statistics import DecisionRule

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Confirmed:
    """A configuration and what came of it, by seed, in the order of the seeds."""

    configuration: Configuration
    results: dict[int, RunResult]

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def complete(self) -> dict[int, RunResult]:
        return {seed: result for seed, result in self.results.items() if result.state == "complete"}

    @property
    def failed(self) -> dict[int, str]:
        return {seed: result.reason for seed, result in self.results.items() if result.state == "failed"}

    @property
    def test_accuracy(self) -> list[float]:
        return [result.test["test_accuracy"] for result in self.complete.values()]

    def measured(self, metric: str) -> list[float | None]:
        """Of the last epoch, by seed; None where the data do not tell it."""
        return [result.metrics.get(metric) for result in self.complete.values()]

    def validation(self, metric: str) -> float:
        values = [result.metrics[metric] for result in self.complete.values()]
        return sum(values) / len(values) if values else math.nan

    def objective(self, metric: str) -> float | None:
        """The mean of an objective over the seeds, on the test part where the search had it of the validation part."""
        several = [_objective(result, metric) for result in self.complete.values()]
        known = [value for value in several if value is not None]
        return sum(known) / len(known) if known else None

    def minus(self, other: "Confirmed") -> list[float]:
        """Test accuracy above that of `other`, on each seed that both completed."""
        theirs = other.complete
        return [
            result.test["test_accuracy"] - theirs[seed].test["test_accuracy"]
            for seed, result in self.complete.items()
            if seed in theirs
        ]


@dataclass(frozen=True)
class ComparisonSpec:
    """How the results are read. `looks`: configurations ever measured on the test part; `margin`: worth knowing of."""

    rule: DecisionRule
    looks: int
    margin: float

    @property
    def alpha(self) -> float:
        """The level of each comparison that keeps `ALPHA` over all looks."""
        return ALPHA / self.looks


def preferred(space: Space, candidates: Sequence[Confirmed]) -> Confirmed | None:
    """The one with the best mean on the seeds' validation parts, of those that came through on every seed."""
    sign = 1 if space.objective.direction == "maximize" else -1
    sound = [one for one in candidates if one.complete and not one.failed]
    return max(sound, key=lambda one: sign * one.validation(space.objective.metric), default=None)


def _objective(result: RunResult, metric: str) -> float | None:
    costs = {"epochs": float(result.epochs), "busy_seconds": result.seconds}
    return costs.get(metric, result.test.get(metric.replace("val_", "test_")))


def grain(several: Sequence[Confirmed]) -> float:
    """The step that an accuracy comes in: one test image."""
    return max((1 / result.test_images for one in several for result in one.complete.values()), default=0.0)


def bounds(low: float, high: float) -> list[float | None]:
    """As JSON has it, which knows no infinity."""
    return [low if math.isfinite(low) else None, high if math.isfinite(high) else None]
