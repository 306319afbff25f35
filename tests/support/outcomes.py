"""What a sweep came to, as its journal has it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.tuning.study.trial_record import TrialRecord


def entries(folder: Path) -> "list[TrialRecord]":
    """The trials of the sweep in `folder`."""
    from harness.space import load
    from harness.tuning.study.sweep_study import read_trial_records

    return list(read_trial_records(folder / "study.journal", load(folder / "space.yaml")))


def told(folder: Path) -> list[tuple[Any, ...]]:
    """The same without times, which no two sweeps have in common."""
    return [(entry.number, entry.arm, entry.state, entry.params, entry.curve) for entry in entries(folder)]
