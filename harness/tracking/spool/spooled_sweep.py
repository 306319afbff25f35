"""A sweep read from its event log, without a server and without MLflow: `SpooledSweep.read(Path("runs/label_lr"))`.

`MlflowSweep` gives the same frames once the server has every event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.tracking.spool.event_log import read_events, read_sweep_id
from harness.tracking.spool.run_updates import RunUpdate, updates_by_run
from harness.tracking.tracked_sweep import TrackedSweep
from harness.tracking.tracking_uri import TrackingError


@dataclass(frozen=True)
class SpooledSweep(TrackedSweep):
    """One sweep with its files in `sweep_folder`; `run_id` is that of the event log, a trial's is `RUN_ID/TRIAL`."""

    sweep_folder: Path
    updates: Mapping[int | None, RunUpdate]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the sweep in `folder`.

        Raises:
            EventLogError: it holds no event log, or one of another version.
        """
        run_id = read_sweep_id(folder / "spool")
        updates = updates_by_run(event for event, _ in read_events(folder / "spool") if event is not None)
        sweep = updates.setdefault(None, RunUpdate(start_time=0))
        return cls(
            run_id=run_id,
            name=folder.absolute().name,
            study=sweep.tags.get("study", sweep.name or folder.name),
            state=sweep.tags.get("state", "running"),
            started=sweep.start_time,
            tags=sweep.tags,
            sweep_folder=folder,
            updates=updates,
        )

    def artifact(self, name: str, into: Path, run_id: str | None = None) -> Path:
        run = run_id or self.run_id
        files = self._update(run).artifacts
        for path in (self.sweep_folder / file for file in reversed(files)):
            if path.name == name and path.is_file():
                return path
        raise TrackingError(f"run {run}: expected a file '{name}' in {self.sweep_folder}, found none")

    def _runs(self, kind: str) -> Iterator[tuple[int, str, RunUpdate]]:
        for trial, update in self.updates.items():
            # A trial has no name where its start is missing, because of a damaged line say.
            if trial is not None and update.name and update.tags.get("harness.kind", "trial") == kind:
                yield trial, f"{self.run_id}/{trial}", update

    def _points(self, run_ids: list[str], metrics: Sequence[str]) -> Iterator[tuple[str, str, int, float]]:
        for run_id in run_ids:
            for point in self._update(run_id).points:
                if point.name in metrics:
                    yield run_id, point.name, point.step, point.value

    def _update(self, run_id: str) -> RunUpdate:
        return self.updates[None if run_id == self.run_id else int(run_id.removeprefix(f"{self.run_id}/"))]
