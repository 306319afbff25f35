"""From what is missing of a plan to its results: a crew trains it, listeners hear of it as they do of a search."""

from collections.abc import Callable, Sequence

from harness.confirm.plan import Plan
from harness.tracking.spool import event_log
from harness.tracking.spool.event_log import DatasetUsed, EpochMetrics, TrialEnded, TrialWarning
from harness.tuning.execution import crew
from harness.tuning.execution.crew import Crew, Event
from harness.tuning.execution.signals import terminate_as_interrupt


class Training:
    """Runs what is missing, on a crew that is hired when there is something to run.

    Args:
        listeners: told of what happens, as the records of `harness.tracking.spool.event_log`.
        hire: gives the crew.
    """

    def __init__(
        self, plan: Plan, listeners: Sequence[Callable[[event_log.Event], None]], hire: Callable[[], Crew]
    ) -> None:
        self.plan = plan
        self.lost: dict[str, str] = {}
        self._listeners = listeners
        self._hire = hire
        self._crew: Crew | None = None

    @property
    def stride(self) -> int:
        """Seeds that the crew works at side by side."""
        return max(1, self._crew.slots() // len(self.plan.configurations)) if self._crew else 1

    def train(self, seeds: int) -> None:
        """Bring every configuration to a result on so many seeds, but for runs that are lost."""
        missing = self.plan.missing(seeds)
        if not missing:
            return
        self._crew = self._crew or self._hire()
        with terminate_as_interrupt():  # after Ray's start, which has a handler of its own
            for event in self._crew.run((job, self.plan.results.of(job)) for job in missing):
                self._note(event)

    def _note(self, event: Event) -> None:
        results = self.plan.results
        match event:
            case crew.Started(job):
                self._tell(job.start())
            case crew.Saw(job, parts):
                self._tell(DatasetUsed(trial=job.number, parts=tuple(parts)))
            case crew.EpochMetrics(job, epochs):
                for epoch, metrics in epochs:
                    self._tell(EpochMetrics(trial=job.number, step=epoch, metrics=metrics))
            case crew.TrialWarning(job, text):
                self._tell(TrialWarning(trial=job.number, text=text))
            case crew.Ended(job, result):
                results.put(job, result)
                self._tell(results.end(job, result))
            case crew.Lost(job, reason):
                self.lost[job.name] = reason
                self._tell(TrialEnded(trial=job.number, state="failed", reason=reason))

    def _tell(self, record: event_log.Event) -> None:
        for listener in self._listeners:
            listener(record)
