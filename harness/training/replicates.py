"""One configuration on several seeds, side by side: what is measured is the mean over the seeds, epoch by epoch.

    metric = (1/k) Σ_j metric_j      metric_std = √( Σ_j (metric_j - metric)² / (k - 1) )

Seeds `seed`, `seed + 1`, … of the configuration draw split, noise, weights and order, each for a run of its own; the
runs know nothing of one another. The metrics of a validation part come with their spread over the seeds, as
`val_accuracy_std` say: the sample standard deviation. `seconds` is their sum, and what some runs lack (no label of
theirs was wrong) is the mean over the others. One seed is one run, number for number.
"""

import math
from collections.abc import Sequence
from typing import Any

from harness.common.seeds import successive
from harness.training.config.run_config import RunConfig
from harness.training.metrics import Metrics
from harness.training.run import Diverged, Run

SPREAD = "val_"
"""Metrics whose spread over the seeds is told begin so."""


class Replicates:
    """Runs of one configuration, an epoch at a time each.

    Args:
        config: what to run; its seed is the first.
        seeds: how many.

    Raises:
        DataError: as `Run` does.
    """

    def __init__(self, config: RunConfig, seeds: int = 1) -> None:
        self.runs = [Run(config.model_copy(update={"seed": seed})) for seed in successive(config.seed, seeds)]

    @property
    def first(self) -> Run:
        """The run of the configuration's own seed."""
        return self.runs[0]

    @property
    def epoch(self) -> int:
        return self.first.epoch

    @property
    def done(self) -> bool:
        return self.first.done

    def train_epoch(self) -> Metrics:
        """One epoch of every run; returns means and spreads.

        Raises:
            Diverged: one of them did; says which.
        """
        return combined([self._trained(run) for run in self.runs])

    def _trained(self, run: Run) -> Metrics:
        try:
            return run.train_epoch()
        except Diverged as error:
            if len(self.runs) == 1:
                raise
            raise Diverged(f"seed {run.config.seed}: {error}") from error

    def state_dict(self) -> dict[str, Any]:
        return {"runs": [run.state_dict() for run in self.runs]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            ValueError: the state is another configuration's, or of other seeds.
        """
        for run, own in zip(self.runs, state["runs"], strict=True):
            run.load_state_dict(own)


def combined(each: Sequence[Metrics]) -> Metrics:
    """The metrics of several seeds as those of one trial."""
    if len(each) == 1:
        return each[0]
    metrics: Metrics = {}
    for name in dict.fromkeys(name for one in each for name in one):
        values = [one[name] for one in each if name in one]
        mean = sum(values) / len(values)
        metrics[name] = sum(values) if name == "seconds" else mean
        if name.startswith(SPREAD):
            metrics[f"{name}_std"] = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return metrics
