"""The protocol between what decides which trials to run and the executor, which runs them on Ray Tune."""

from collections.abc import Callable, Mapping
from typing import Protocol

from harness.tracking.spool.events import Event
from harness.tuning.trial import Trial

Listener = Callable[[Event], None]


class TrialSource(Protocol):
    """Decides which trial starts next, and records its results.

    `SweepStudy` implements it for a search, `harness.confirm.plan_source.PlanSource` for runs on fresh seeds: those of
    a confirmation and the teachers of a distillation. All methods are called from the driver's one thread.
    """

    @property
    def listeners(self) -> list[Listener]:
        """Called with each event, in order."""

    @property
    def missing(self) -> int:
        """Number of trials that have still to start or to end."""

    def next(self) -> Trial | None:
        """Start the next trial; None if there is none now. One that runs may still be released."""

    def is_open(self, number: int) -> bool:
        """Whether this trial was started and has neither ended nor been released."""

    def record_seconds(self, number: int, seconds: float) -> None:
        """Record the compute time of a trial so far, in seconds."""

    def record_test(self, number: int, metrics: Mapping[str, float], samples: int) -> None:
        """Record the metrics on the test part, of so many samples, measured after the last epoch."""

    def report(self, number: int, epoch: int, metrics: dict[str, float]) -> bool:
        """Record the metrics after an epoch; returns whether the trial is to be pruned there."""

    def complete(self, number: int) -> None:
        """End a trial that ran to its last epoch."""

    def prune(self, number: int) -> None:
        """End a trial that `report` said to prune."""

    def fail(self, number: int, reason: str) -> None:
        """End a trial that failed."""

    def release(self, number: int) -> None:
        """Take back a trial whose worker was lost: it is the next to start, under the same number."""
