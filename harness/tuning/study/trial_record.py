"""Record of one trial from the journal, and the best of several records. Needs no Optuna."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from harness.space import Space
from harness.tracking.spool.events import TrialEnded
from harness.tuning.study.pareto import front_indices

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a sweep, as the journal holds it."""

    number: int
    arm: str
    state: State
    params: dict[str, Any]
    values: tuple[float, ...]  # the objectives, in order; empty unless the trial is complete
    feasible: bool  # whether it satisfies every constraint
    metrics: dict[str, float]  # of the last epoch
    reason: str  # of a pruned or failed trial
    seconds: float  # of computing
    curve: dict[int, float]  # the first objective by epoch, from 1
    costs: dict[str, float]  # objectives known only at the end, such as `busy_seconds`

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.number}"

    @property
    def value(self) -> float | None:
        """The only objective, or the first of several."""
        return self.values[0] if self.values else None

    def end_event(self) -> TrialEnded:
        """The event of its end."""
        assert self.state != "running"
        step = max(self.curve, default=0)
        return TrialEnded(trial=self.number, state=self.state, reason=self.reason, step=step, metrics=self.costs)


def best_trial(records: Iterable[TrialRecord], space: Space) -> TrialRecord | None:
    """The feasible complete trial with the best objective; the first of equals.

    Several objectives are compared in order, so that this is the first trial of `pareto_front`.
    """
    return max(_candidates(records), key=lambda record: space.utilities(record.values), default=None)


def pareto_front(records: Iterable[TrialRecord], space: Space) -> list[TrialRecord]:
    """The feasible complete trials that no other one dominates, best first by the first objective."""
    candidates = _candidates(records)
    return [candidates[index] for index in front_indices([space.utilities(record.values) for record in candidates])]


def _candidates(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.values and record.feasible]
