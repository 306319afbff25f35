"""Results of a configuration by seed, and how configurations are compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.confirm.configurations import Configuration
from harness.confirm.plan import RunResult
from harness.results.measurement import ConfigurationResults, Interval
from harness.space import Space
from harness.statistics import AnytimeValid, DecisionRule, Estimate, estimate_mean

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True)
class ComparisonSpec:
    """How differences are judged.

    Args:
        n_comparisons: configurations of the sweep that were ever measured on the test part.
        margin: a difference worth knowing of, as a fraction.
    """

    rule: DecisionRule
    n_comparisons: int
    margin: float

    @property
    def alpha(self) -> float:
        """Level of each comparison that keeps `ALPHA` over all of them (Bonferroni)."""
        return ALPHA / self.n_comparisons

    @property
    def sequential(self) -> bool:
        return isinstance(self.rule, AnytimeValid)


@dataclass(frozen=True)
class MeasuredConfiguration:
    """A configuration and its results by seed, in the order of the seeds."""

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

    def last_epoch(self, metric: str) -> list[float]:
        """The metric of each complete run's last epoch; empty where the data do not tell it."""
        values = [result.metrics.get(metric) for result in self.complete.values()]
        return [value for value in values if value is not None]

    def objective(self, metric: str) -> float | None:
        """Mean of an objective over seeds, on the test part where the search measured it on the validation part."""
        return _mean([value for result in self.complete.values() if (value := _objective(result, metric)) is not None])

    def differences(self, other: "MeasuredConfiguration") -> list[float]:
        """Test accuracy minus that of `other`, on each seed that both completed."""
        theirs = other.complete
        return [
            result.test["test_accuracy"] - theirs[seed].test["test_accuracy"]
            for seed, result in self.complete.items()
            if seed in theirs
        ]

    def summarise(self, space: Space, rule: DecisionRule) -> ConfigurationResults:
        test, labels = self.test_accuracy, self.last_epoch("label_accuracy")
        accuracy = estimate_mean(test, rule, ALPHA, resolution([self])) if test else None
        right = estimate_mean(labels, rule, ALPHA) if labels else None
        return ConfigurationResults(
            trial=self.configuration.trial,
            params=self.configuration.params,
            n=len(test),
            seeds=list(self.complete),
            test_accuracy_mean=accuracy.mean if accuracy else None,
            ci95=interval(accuracy) if accuracy else None,
            test_accuracy=test,
            val_accuracy_mean=_mean(self.last_epoch("val_accuracy")),
            val_accuracy=self.last_epoch("val_accuracy"),
            search_value=self.configuration.value,
            label_accuracy_mean=right.mean if right else None,
            label_accuracy_ci95=interval(right) if right else None,
            failed=self.failed,
            objectives={
                each.metric: self.objective(each.metric) for each in space.objectives if space.is_multi_objective
            },
        )


def best_on_validation(space: Space, candidates: Sequence[MeasuredConfiguration]) -> MeasuredConfiguration | None:
    """The configuration with the best mean objective on the seeds' validation parts, of those that never failed."""
    objective = space.objective
    sound = [one for one in candidates if one.complete and not one.failed]
    return max(sound, key=lambda one: objective.sign * (_mean(one.last_epoch(objective.metric)) or 0.0), default=None)


def resolution(several: Sequence[MeasuredConfiguration]) -> float:
    """Resolution of a test accuracy: 1 / number of test images."""
    return max((1 / result.test_images for one in several for result in one.complete.values()), default=0.0)


def interval(estimate: Estimate) -> Interval:
    return Interval.from_ends(estimate.low, estimate.high)


def _objective(result: RunResult, metric: str) -> float | None:
    costs = {"epochs": float(result.epochs), "busy_seconds": result.seconds}
    return costs.get(metric, result.test.get(metric.replace("val_", "test_")))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
