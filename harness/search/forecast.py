"""How long a sweep takes on so many workers, before it is run: the sweep in simulated time.

Budget, arms and pruner are the sweep's own. Settings are drawn at random, and each trial gets a rank that it keeps:
what a pruner saves then hangs on its rungs alone, which is what can be known beforehand. A sampler that finds better
and better trials has fewer of them stopped, and one that finds cheaper ones has less to do.
"""

from collections.abc import Iterable, Mapping
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

HANDING_OVER = 0.2
"""Seconds between two trials of a worker, beside what the next one's own set-up takes: measured on two cores."""

NEAR = 1.1
"""A forecast within this of the fastest is near enough to it for fewer idle workers to count."""


@dataclass(frozen=True)
class Cost:
    """Of an arm's trials, in seconds: an epoch, and what comes before the first."""

    epoch: float
    before: float


@dataclass(frozen=True)
class Forecast:
    """A sweep on `workers`: seconds until its last trial ends, and worker-seconds that are trained in them."""

    workers: int
    seconds: float
    busy: float

    @property
    def held(self) -> float:
        """Worker-seconds that are paid for, whether used or not."""
        return self.workers * self.seconds

    @property
    def idle(self) -> float:
        """The share of them in which a worker waits for the sweep's end."""
        return 1 - self.busy / self.held if self.held else 0.0


def _course(trial: Trial, cost: Cost, space: Space) -> list[tuple[float, dict[str, float]]]:
    """Seconds and metrics of a trial's epochs: each metric is a rank that the trial keeps."""
    rank = derive(space.search.seed, f"rank:{trial.number}") / 2**63
    metrics: dict[str, float] = {objective.metric: rank for objective in space.objectives}
    first = cost.epoch + (cost.before + HANDING_OVER)
    return [(cost.epoch if epoch else first, metrics) for epoch in range(trial.config.epochs)]


def forecast(space: Space, costs: Mapping[str, Cost], workers: int, startup: float) -> Forecast:
    """What the whole budget takes on `workers` that all start at once, after `startup` seconds.

    Args:
        costs: of every arm that has trials.
    """
    search = space.search
    changes: dict[str, Any] = {} if isinstance(search.sampler, Grid) else {"sampler": Random(type="random")}
    drawn = space.model_copy(update={"search": search.model_copy(update=changes | {"stop_when": None})})
    with TemporaryDirectory() as folder:
        study = SweepStudy(Path(folder) / "study.journal", drawn)
        ended = simulate(study, workers, lambda trial: _course(trial, costs[trial.arm], drawn))
    last = max((trial.ended for trial in ended), default=0.0)
    allowed = last if search.time_budget_seconds is None else min(last, search.time_budget_seconds)
    busy = sum(max(0.0, min(trial.ended, allowed) - trial.began) for trial in ended)
    return Forecast(workers, startup + allowed, busy)


def sizes(most: int) -> list[int]:
    """Numbers of workers worth a look, up to `most`: the powers of two and itself, smallest first."""
    return sorted({most, *(2**power for power in range(most.bit_length()) if 2**power <= most)})


def thriftiest(forecasts: Iterable[Forecast]) -> Forecast:
    """Of those about as fast as the fastest, the one that holds the fewest worker-seconds."""
    forecasts = list(forecasts)
    fastest = min(each.seconds for each in forecasts)
    return min((each for each in forecasts if each.seconds <= NEAR * fastest), key=lambda each: each.held)
