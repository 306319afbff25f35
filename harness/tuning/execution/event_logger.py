"""From the ledger to the spool, so that what is tracked agrees with the journal, whatever was killed between the two.

The ledger tells some things again after a restart: epochs that a trial trains once more from its checkpoint. They are
let through once. What the journal holds and the spool does not (a kill fell between the two writes) is made up for when
the sweep goes on.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from harness.tracking.spool import event_log
from harness.tracking.spool.event_log import DatasetUsed, EpochMetrics, Event, TrialEnded, TrialStarted
from harness.tuning.storage.sweep_folder import SweepFolder, label_files
from harness.tuning.storage.workspace import Workspace
from harness.tuning.study.trial_record import TrialRecord


class EventLogger:
    """A listener of a ledger that appends to the sweep's spool what is not there yet, and the labels of ended trials.

    Every trial gets its seed as a tag, by which runs are looked for over sweeps.

    Args:
        folder: the sweep's; its spool exists.
        workspace: fetches the labels of ended trials.
        append: puts a record into that spool.
        tags: put on every trial.
    """

    def __init__(
        self,
        folder: SweepFolder,
        workspace: Workspace,
        append: Callable[[Event], None],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._workspace = workspace
        self._tags = dict(tags or {})
        self._folder = folder
        self._append = append
        self._last_step: dict[int, int] = {}
        self._ended: set[int] = set()
        self._saw: set[tuple[int, object]] = set()
        for record, _ in event_log.read_events(folder.spool):
            self._note(record)

    def __call__(self, record: Event) -> None:
        if isinstance(record, EpochMetrics) and record.step <= self._last_step.get(record.trial, 0):
            return
        if isinstance(record, DatasetUsed) and _contexts(record) <= self._saw:
            return
        self._note(record)
        if isinstance(record, TrialStarted):
            seed = {"seed": str(record.params["seed"])} if "seed" in record.params else {}
            record = dataclasses.replace(record, tags={**seed, **self._tags, **record.tags})
        if isinstance(record, TrialEnded) and record.state == "complete" and not record.artifacts:
            record = dataclasses.replace(
                record, artifacts=label_files(self._folder.trial(record.trial), self._workspace)
            )
        self._append(record)

    def catch_up(self, entries: Iterable[TrialRecord]) -> None:
        """Append the ends that the journal holds and the spool lacks."""
        for entry in entries:
            if entry.state != "running" and entry.number not in self._ended:
                self(entry.end_event())

    def has_end(self, number: int) -> bool:
        """Whether the spool says how this trial ended."""
        return number in self._ended

    def _note(self, record: Event | None) -> None:
        match record:
            case EpochMetrics():
                self._last_step[record.trial] = max(record.step, self._last_step.get(record.trial, 0))
            case DatasetUsed():
                self._saw |= _contexts(record)
            case TrialEnded():
                self._ended.add(record.trial)
            case TrialStarted() if record.trial in self._ended:  # tried again, from the start
                self._ended.discard(record.trial)
                self._last_step.pop(record.trial, None)
            case _:
                pass


def _contexts(record: DatasetUsed) -> set[tuple[int, object]]:
    """Which parts of the data, of which trial."""
    return {(record.trial, part["context"]) for part in record.parts}
