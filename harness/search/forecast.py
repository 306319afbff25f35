"""How long a sweep takes on a number of workers: the sweep in simulated time.

Budget, arms and pruner are those of the sweep. Settings are drawn at random, and each trial keeps one rank at all
epochs. What the pruner saves then depends on its rungs alone, which is what can be known beforehand. With a sampler
that finds better and better trials fewer are pruned; with one that finds cheaper trials there is less to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.common.seeds import derive
from harness.space import Space
from harness.space.strategies import Grid, Random
from harness.tuning.study.simulation import simulate
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.trial import Trial

HANDOVER_SECONDS = 0.2
"""Between two trials of a worker, without the set-up of the next: measured on two cores."""


@dataclass(frozen=True)
class Cost:
    """Mean cost of an arm's trials in seconds: of an epoch, and of the set-up before the first."""

    epoch: float
    setup: float


def _epochs(trial: Trial, cost: Cost, space: Space) -> list[tuple[float, dict[str, float]]]:
    """Seconds and metrics of a trial's epochs: each metric is a rank that the trial keeps."""
    rank = derive(space.search.seed, f"rank:{trial.number}") / 2**63
    metrics: dict[str, float] = {objective.metric: rank for objective in space.objectives}
    first = cost.epoch + (cost.setup + HANDOVER_SECONDS)
    return [(cost.epoch if epoch else first, metrics) for epoch in range(trial.config.epochs)]


def forecast(space: Space, costs: Mapping[str, Cost], workers: int, startup_seconds: float) -> float:
    """Seconds that the whole budget takes on `workers` that start at once, after `startup_seconds`.

    Args:
        costs: of every arm that has trials.
    """
    search = space.search
    changes: dict[str, Any] = {} if isinstance(search.sampler, Grid) else {"sampler": Random(type="random")}
    drawn = space.model_copy(update={"search": search.model_copy(update=changes | {"stop_when": None})})
    with TemporaryDirectory() as folder:
        study = SweepStudy(Path(folder) / "study.journal", drawn)
        ended = simulate(study, workers, lambda trial: _epochs(trial, costs[trial.arm], drawn))
    last = max((trial.ended for trial in ended), default=0.0)
    budget = search.time_budget_seconds
    return startup_seconds + (last if budget is None else min(last, budget))
