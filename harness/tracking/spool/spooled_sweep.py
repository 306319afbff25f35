"""A sweep read from its own spool: the same tables as `reading` gives, without a server and without mlflow.

    sweep = SpooledSweep.read(Path("runs/label_lr"))
    sweep.trials()                          one row a trial, as `reading.Sweep.trials`
    sweep.curves(["val_accuracy"])          one row a point

The spool is what the server was told, so the two agree wherever the server has everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from harness.tracking.spool import event_log
from harness.tracking.spool.run_updates import Change, updates_by_run
from harness.tracking.tracking_uri import TrackingError

FACTS = ("trial", "run_id", "name", "arm", "state", "reason", "seconds")
CURVE_COLUMNS = ["trial", "metric", "step", "value"]


@dataclass(frozen=True, slots=True)
class SpooledSweep:
    """One sweep as its folder `home` tells it; `started` in milliseconds of the epoch, `run_id` that of the spool."""

    home: Path
    run_id: str
    name: str
    study: str
    state: str
    started: int
    tags: Mapping[str, str]
    changes: Mapping[int, Change]
    files: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The sweep in `folder`; EventLogError where it holds no records, or none of this version."""
        records = folder / "spool"
        run_id = event_log.read_sweep_id(records)
        changes = updates_by_run(record for record, _ in event_log.read_events(records) if record is not None)
        own = changes.pop(None, Change(start_time=0))
        return cls(
            home=folder,
            run_id=run_id,
            name=folder.absolute().name,
            study=own.tags.get("study", own.name or folder.name),
            state=own.tags.get("state", "running"),
            started=own.start_time,
            tags=own.tags,
            changes={number: change for number, change in changes.items() if number is not None},
            files=tuple(own.artifacts),
        )

    def trials(self, kind: str = "trial") -> pd.DataFrame:
        """One row a trial of the search, or of another `kind`; columns as `reading.Sweep.trials`.

        Left out are trials whose start is not in the spool, a damaged line say: what they were is not known.
        """
        started = {number: one for number, one in self.changes.items() if one.name}
        chosen = {number: one for number, one in started.items() if one.tags.get("harness.kind", "trial") == kind}
        rows = [self._row(number, change) for number, change in sorted(chosen.items())]
        return pd.DataFrame(rows, columns=None if rows else list(FACTS))

    def curves(self, metrics: Sequence[str], trials: pd.DataFrame | None = None) -> pd.DataFrame:
        """The points of `metrics` for `trials` (some rows of `trials()`; default: all), by step."""
        chosen = self.trials() if trials is None else trials
        points = [
            (number, point.name, point.step, point.value)
            for number in chosen["trial"]
            for point in self.changes[number].points
            if point.name in metrics
        ]
        frame = pd.DataFrame(points, columns=CURVE_COLUMNS)
        frame = frame.drop_duplicates(["metric", "trial", "step"], keep="last")  # a restarted trial tells some again
        return frame.sort_values(["metric", "trial", "step"], ignore_index=True)

    def artifact(self, name: str, into: Path, run_id: str | None = None) -> Path:
        """The file `name` of a run (default: the sweep's own), where it lies; nothing is put `into`."""
        run = run_id or self.run_id
        number = run.removeprefix(f"{self.run_id}/")
        files = self.files if run == self.run_id else self.changes[int(number)].artifacts
        for path in (self.home / each for each in reversed(files)):
            if path.name == name and path.is_file():
                return path
        raise TrackingError(f"run {run}: expected a file '{name}' in {self.home}, found none")

    def _row(self, number: int, change: Change) -> dict[str, Any]:
        seconds = float("nan") if change.end_time is None else (change.end_time - change.start_time) / 1000
        last: dict[str, tuple[int, float]] = {}
        for point in change.points:
            if point.name not in last or point.step >= last[point.name][0]:
                last[point.name] = (point.step, point.value)
        facts = (
            *(number, f"{self.run_id}/{number}", change.name, change.tags.get("arm", "")),
            *(change.tags.get("state", "running"), change.tags.get("reason", ""), seconds),
        )
        return {
            **dict(zip(FACTS, facts, strict=True)),
            **{f"params.{key}": value for key, value in sorted(change.params.items())},
            **{f"metrics.{key}": value for key, (_, value) in sorted(last.items())},
        }
