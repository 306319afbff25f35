"""One configuration on several seeds; the metrics of an epoch are means over the seeds.

    metric = (1/k) Σ_j metric_j      metric_std = √( Σ_j (metric_j - metric)² / (k - 1) ), of validation metrics

`seconds` is the sum. A metric that some runs lack (none of their labels was wrong) is the mean over the others. One
seed gives the metrics of its run unchanged.
"""

import math
from collections.abc import Sequence
from typing import Any

from harness.common.seeds import consecutive_seeds
from harness.training.config.run_config import RunConfig
from harness.training.errors import DivergenceError
from harness.training.metrics import Metrics
from harness.training.run import Run


class Replicates:
    """Independent runs of one configuration on `seeds` consecutive seeds, from its own on."""

    def __init__(self, config: RunConfig, seeds: int = 1) -> None:
        self.runs = [Run(config.model_copy(update={"seed": seed})) for seed in consecutive_seeds(config.seed, seeds)]
        self.first = self.runs[0]

    @property
    def epoch(self) -> int:
        return self.first.epoch

    @property
    def done(self) -> bool:
        return self.first.done

    def train_epoch(self) -> Metrics:
        """Train one epoch of every run and return means and deviations; of several, DivergenceError names the seed."""
        metrics = []
        for run in self.runs:
            try:
                metrics.append(run.train_epoch())
            except DivergenceError as error:
                raise DivergenceError(f"seed {run.config.seed}: {error}" if len(self.runs) > 1 else error) from error
        return mean_metrics(metrics)

    def pop_warnings(self) -> list[str]:
        """Return what the runs warn of since the last call."""
        warnings = [text for run in self.runs for text in run.steps.warnings]
        for run in self.runs:
            run.steps.warnings.clear()
        return list(dict.fromkeys(warnings))

    def state_dict(self) -> dict[str, Any]:
        return {"runs": [run.state_dict() for run in self.runs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was called; ValueError for the state of another configuration or other seeds."""
        for run, own in zip(self.runs, state["runs"], strict=True):
            run.load_state_dict(own)


def mean_metrics(runs: Sequence[Metrics]) -> Metrics:
    """Return the means of the metrics of several runs, and the standard deviations of validation metrics."""
    if len(runs) == 1:
        return runs[0]
    metrics: Metrics = {}
    for name in dict.fromkeys(name for run in runs for name in run):
        values = [run[name] for run in runs if name in run]
        mean = sum(values) / len(values)
        metrics[name] = sum(values) if name == "seconds" else mean
        if name.startswith("val_"):
            metrics[f"{name}_std"] = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return metrics
