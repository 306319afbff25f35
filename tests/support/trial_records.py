"""Trials of a sweep, as its journal records them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.tuning.study.trial_record import TrialRecord


def trial_records(folder: Path) -> "list[TrialRecord]":
    """The trials of the sweep in `folder`."""
    from harness.space import load
    from harness.tuning.study.sweep_study import read_trial_records

    return list(read_trial_records(folder / "study.journal", load(folder / "space.yaml")))


def comparable_trials(folder: Path) -> list[tuple[Any, ...]]:
    """Number, arm, state, parameters and curve of each trial: all but times, which differ from sweep to sweep."""
    return [(record.number, record.arm, record.state, record.params, record.curve) for record in trial_records(folder)]
