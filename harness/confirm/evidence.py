"""Results of a configuration over seeds, and how configurations are compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.confirm.configurations import Configuration
from harness.results.measurement import ConfigurationResults, Interval
from harness.results.seed_result import SeedResult
from harness.space import Space
from harness.statistics import AnytimeValid, DecisionRule, Estimate, estimate_mean

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True)
class ComparisonSpec:
    """Rule, number of comparisons and margin by which differences are judged.

    Args:
        n_comparisons: configurations of the sweep that were ever measured on the test part.
        margin: a difference of interest, as a fraction.
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


def summarise_configuration(
    configuration: Configuration, results: Mapping[int, SeedResult], space: Space, rule: DecisionRule
) -> ConfigurationResults:
    """Means and intervals of a configuration's results, which are given by seed."""
    complete = {seed: result for seed, result in results.items() if result.state == "complete"}
    test_images = min((result.test_images for result in complete.values()), default=0)

    def last_epoch(metric: str) -> list[float]:
        values = [result.metrics.get(metric) for result in complete.values()]
        return [value for value in values if value is not None]

    def objective(metric: str) -> float | None:
        """On the test part where the search measured it on the validation part."""
        values = [_objective(result, metric) for result in complete.values()]
        return _mean([value for value in values if value is not None])

    test = [result.test["test_accuracy"] for result in complete.values()]
    labels = last_epoch("label_accuracy")
    accuracy = estimate_mean(test, rule, ALPHA, 1 / test_images) if test else None
    right = estimate_mean(labels, rule, ALPHA) if labels else None
    return ConfigurationResults(
        arm=configuration.arm,
        role=configuration.role,
        method=configuration.config.method,
        trial=configuration.trial,
        params=configuration.params,
        n=len(test),
        seeds=list(complete),
        test_images=test_images,
        test_accuracy_mean=accuracy.mean if accuracy else None,
        ci95=to_share_interval(accuracy) if accuracy else None,
        test_accuracy=test,
        val_accuracy_mean=_mean(last_epoch("val_accuracy")),
        val_accuracy=last_epoch("val_accuracy"),
        val_objective_mean=_mean(last_epoch(space.objective.metric)),
        search_value=configuration.value,
        label_accuracy_mean=right.mean if right else None,
        label_accuracy_ci95=to_share_interval(right) if right else None,
        failed={seed: result.reason for seed, result in results.items() if result.state == "failed"},
        objectives={item.metric: objective(item.metric) for item in space.objectives if space.is_multi_objective},
    )


def best_on_validation(space: Space, candidates: Sequence[ConfigurationResults]) -> ConfigurationResults | None:
    """The configuration with the best mean objective on the seeds' validation parts, of those that never failed."""
    sound = [candidate for candidate in candidates if candidate.n and not candidate.failed]
    return max(sound, key=lambda candidate: space.objective.sign * (candidate.val_objective_mean or 0.0), default=None)


def resolution(measured: Sequence[ConfigurationResults]) -> float:
    """Resolution of a test accuracy: 1 / number of test images."""
    return max((1 / configuration.test_images for configuration in measured if configuration.test_images), default=0.0)


def to_interval(estimate: Estimate) -> Interval:
    return Interval(estimate.low, estimate.high)


def to_share_interval(estimate: Estimate) -> Interval:
    """The interval of a share, which lies between 0 and 1; infinite ends stay so."""
    low, high = (end if math.isinf(end) else min(max(end, 0.0), 1.0) for end in (estimate.low, estimate.high))
    return Interval(low, high)


def _objective(result: SeedResult, metric: str) -> float | None:
    costs = {"epochs": float(result.epochs), "busy_seconds": result.seconds}
    return costs.get(metric, result.test.get(metric.replace("val_", "test_")))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
