"""Forecast of a sweep's duration: a few epochs are measured, then the sweep is simulated.

Budget, arms and pruner are those of the sweep. Settings are drawn at random, and each trial keeps one rank at all
epochs. What the pruner saves then depends on its rungs alone, which is what can be known beforehand. With a sampler
that finds better and better trials fewer are pruned; with one that finds cheaper trials there is less to do.

An epoch's time is assumed to be affine in the number of training images (steps and evaluation): it is measured with two
small training sets and extrapolated. Label steps start at the first epoch, so that a warm-up does not hide them.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.common.seeds import derive_seed
from harness.space import Space
from harness.space.strategies import Grid, Random
from harness.training.config.methods import LabelParameters
from harness.training.config.run_config import RunConfig
from harness.training.run import Run
from harness.tuning.study.simulation import simulate
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.trial import Trial

HANDOVER_SECONDS = 0.2
"""Seconds between two trials of a worker, without the set-up of the next; measured on two cores."""
MODEL_STEPS = (4, 12)
"""Model steps in an epoch of the two small training sets."""
MIN_SECONDS = 0.3
"""Least duration of the measured epochs; a shorter first epoch is a warm-up and not counted."""


@dataclass(frozen=True)
class TrialTiming:
    """Seconds of an epoch, and of a trial's set-up before the first."""

    epoch: float
    setup: float


def measure_timing(config: RunConfig) -> TrialTiming:
    """The timing of a run of `config` in this process."""
    warmup = {"label_warmup_epochs": 0} if isinstance(config.parameters, LabelParameters) else {}
    config = config.model_copy(update={**warmup, "epochs": max(config.epochs, 1000)})
    images = len(Run(config).splits.train)  # reads the data, which trials share
    sizes = [steps * config.batch_size for steps in MODEL_STEPS]
    if images <= 1.5 * sizes[-1]:
        return _measure(config)
    small = _measure(config.model_copy(update={"train_size": sizes[0]}))
    large = _measure(config.model_copy(update={"train_size": sizes[1]}))
    slope = max(0.0, large.epoch - small.epoch) / (sizes[1] - sizes[0])
    return TrialTiming(large.epoch + slope * (images - sizes[1]), small.setup)


def _measure(config: RunConfig) -> TrialTiming:
    began = time.perf_counter()
    run = Run(config)
    setup = time.perf_counter() - began
    began = time.perf_counter()
    run.train_epoch()
    first = time.perf_counter() - began
    if first > MIN_SECONDS:
        return TrialTiming(first, setup)
    began, epochs = time.perf_counter(), 0
    while time.perf_counter() - began < MIN_SECONDS:
        run.train_epoch()
        epochs += 1
    return TrialTiming((time.perf_counter() - began) / epochs, setup)


def forecast(space: Space, timings: Mapping[str, TrialTiming], workers: int, startup_seconds: float) -> float:
    """Seconds that the whole budget takes on `workers` that start at once, after `startup_seconds`.

    Args:
        timings: of every arm that has trials.
    """
    search = space.search
    changes: dict[str, Any] = {} if isinstance(search.sampler, Grid) else {"sampler": Random()}
    drawn = space.with_search(**changes, stop_when=None)
    with TemporaryDirectory() as folder:
        study = SweepStudy(Path(folder) / "study.journal", drawn)
        ended = simulate(study, workers, lambda trial: _epochs(trial, timings[trial.arm], drawn))
    last = max((trial.ended for trial in ended), default=0.0)
    budget = search.time_budget_seconds
    return startup_seconds + (last if budget is None else min(last, budget))


def _epochs(trial: Trial, timing: TrialTiming, space: Space) -> list[tuple[float, dict[str, float]]]:
    """Seconds and metrics of a trial's epochs: each metric is the trial's rank."""
    rank = derive_seed(space.search.seed, f"rank:{trial.number}") / 2**63
    metrics: dict[str, float] = {objective.metric: rank for objective in space.objectives}
    first = timing.epoch + (timing.setup + HANDOVER_SECONDS)
    return [(timing.epoch if epoch else first, metrics) for epoch in range(trial.config.epochs)]
