"""Listener that writes the events of trial sources into the event log, each exactly once even after a kill.

After a restart a source emits some events again, such as epochs that a trial repeats from its checkpoint: these are
dropped. Ends of trials that the study's journal has and the event log lacks are added when the sweep continues.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from harness.tracking.spool import event_log
from harness.tracking.spool.events import DatasetUsed, EpochMetrics, Event, TrialEnded, TrialStarted
from harness.tuning.storage.sweep_folder import SweepFolder, label_files
from harness.tuning.storage.workspace import Workspace
from harness.tuning.study.trial_record import TrialRecord


class EventLogger:
    """A listener of trial sources that appends events to the event log, with the label files of completed trials.

    Args:
        append: appends an event to the log, which exists.
        tags: added to every trial, beside its seed.
    """

    def __init__(
        self,
        workspace: Workspace,
        folder: SweepFolder,
        append: Callable[[Event], None],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._workspace = workspace
        self._tags = dict(tags or {})
        self._folder = folder
        self._append = append
        self._last_epoch: dict[int, int] = {}
        self._ended: set[int] = set()
        self._datasets: set[tuple[int, object]] = set()
        for event, _ in event_log.read_events(folder.spool):
            self._remember(event)

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochMetrics) and event.step <= self._last_epoch.get(event.trial, 0):
            return
        if isinstance(event, DatasetUsed) and _datasets(event) <= self._datasets:
            return
        self._remember(event)
        if isinstance(event, TrialStarted):
            seed = {"seed": str(event.params["seed"])} if "seed" in event.params else {}
            event = dataclasses.replace(event, tags={**seed, **self._tags, **event.tags})
        if isinstance(event, TrialEnded) and event.state == "complete" and not event.artifacts:
            files = label_files(self._folder.trial(event.trial), self._workspace)
            event = dataclasses.replace(event, artifacts=files)
        self._append(event)

    def catch_up(self, records: Iterable[TrialRecord]) -> None:
        """Append the ends of trials that the log lacks."""
        for record in records:
            if record.state != "running" and record.number not in self._ended:
                self(record.end_event())

    def has_end(self, number: int) -> bool:
        """Whether the log says how this trial ended."""
        return number in self._ended

    def _remember(self, event: Event | None) -> None:
        match event:
            case EpochMetrics():
                self._last_epoch[event.trial] = max(event.step, self._last_epoch.get(event.trial, 0))
            case DatasetUsed():
                self._datasets |= _datasets(event)
            case TrialEnded():
                self._ended.add(event.trial)
            case TrialStarted() if event.trial in self._ended:  # run again, from the start
                self._ended.discard(event.trial)
                self._last_epoch.pop(event.trial, None)


def _datasets(event: DatasetUsed) -> set[tuple[int, object]]:
    """(trial, part of the data) pairs of an event."""
    return {(event.trial, part["context"]) for part in event.parts}
