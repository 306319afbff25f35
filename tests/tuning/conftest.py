"""A small space and a pretended trainer, for tests of what decides without training."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.space import Space, parse
from harness.tracking.spool.events import Event
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.trial import Trial

SPACE = """
study: toy
fixed: {epochs: 9}
arms:
  learned:
    method: learned
    parameters:
      label_lr: {type: float, low: 0.001, high: 10.0, log: true}
      meta_interval: {type: int, low: 1, high: 8}
baselines:
  one_hot:
    method: one_hot
    parameters:
      lr: {type: float, low: 0.01, high: 1.0, log: true}
search: {trials: 8, sampler: {type: tpe, startup_trials: 4}, pruner: none, seed: 5}
"""

Curve = Callable[[Trial, int], float]


def space(*overrides: str) -> Space:
    return parse(SPACE, "toy.yaml", overrides)


def rising(trial: Trial, epoch: int) -> float:
    """Better the nearer label_lr is to 0.1; slowly rising."""
    distance = abs(trial.params.get("label_lr", 1.0) - 0.1)
    return 1 / (1 + distance) * (1 - 0.5**epoch)


def measured(value: float) -> dict[str, float]:
    return {"val_accuracy": value, "val_loss": 1 - value, "seconds": 0.01}


def run_to_end(study: SweepStudy, trial: Trial, curve: Curve = rising) -> str:
    """Train `trial` as a worker would; returns how it ended."""
    for epoch in range(1, trial.config.epochs + 1):
        if study.report(trial.number, epoch, measured(curve(trial, epoch))):
            study.prune(trial.number)
            return "pruned"
    study.complete(trial.number)
    return "complete"


def run_all(study: SweepStudy, curve: Curve = rising, most: int = 1000) -> list[Trial]:
    trials: list[Trial] = []
    while len(trials) < most and (trial := study.next()) is not None:
        trials.append(trial)
        run_to_end(study, trial, curve)
    return trials


def next_trial(study: SweepStudy) -> Trial:
    trial = study.next()
    assert trial is not None
    return trial


def searched(journal: Path, *overrides: str, curve: Curve = rising) -> SweepStudy:
    """A sweep that was run to its end."""
    study = SweepStudy(journal, space(*overrides))
    run_all(study, curve)
    return study


class Recorder:
    """A listener that keeps the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "study.journal"
