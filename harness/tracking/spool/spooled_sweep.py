"""A sweep read from its event log as data frames, without a server and without MLflow.

    sweep = SpooledSweep.read(Path("runs/label_lr"))
    sweep.trials()                          one row per trial
    sweep.curves(["val_accuracy"])          one row per point

`MlflowSweep` gives the same frames once the server has every event.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from harness.tracking.spool.event_log import read_events, read_sweep_id
from harness.tracking.spool.run_updates import RunUpdate, updates_by_run
from harness.tracking.tracking_uri import TrackingError

TRIAL_COLUMNS = ("trial", "run_id", "name", "arm", "state", "reason", "seconds")
"""Columns of every frame of trials; `params.*` and `metrics.*` (final values) follow."""
CURVE_COLUMNS = ["trial", "metric", "step", "value"]


@dataclass(frozen=True, slots=True)
class SpooledSweep:
    """One sweep with its files in `home`; `started` in milliseconds since the epoch, `run_id` that of the event log."""

    home: Path
    run_id: str
    name: str
    study: str
    state: str
    started: int
    tags: Mapping[str, str]
    updates: Mapping[int, RunUpdate]
    files: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the sweep in `folder`.

        Raises:
            EventLogError: it holds no event log, or one of another version.
        """
        run_id = read_sweep_id(folder / "spool")
        updates = updates_by_run(event for event, _ in read_events(folder / "spool") if event is not None)
        sweep = updates.pop(None, RunUpdate(start_time=0))
        return cls(
            home=folder,
            run_id=run_id,
            name=folder.absolute().name,
            study=sweep.tags.get("study", sweep.name or folder.name),
            state=sweep.tags.get("state", "running"),
            started=sweep.start_time,
            tags=sweep.tags,
            updates={trial: update for trial, update in updates.items() if trial is not None},
            files=tuple(sweep.artifacts),
        )

    def trials(self, kind: str = "trial") -> pd.DataFrame:
        """One row per trial of the search, or per run of another `kind`.

        Left out are trials whose start is missing, because of a damaged line say.
        """
        rows = [
            self._row(trial, update)
            for trial, update in sorted(self.updates.items())
            if update.name and update.tags.get("harness.kind", "trial") == kind
        ]
        return pd.DataFrame(rows, columns=None if rows else list(TRIAL_COLUMNS))

    def curves(self, metrics: Sequence[str], trials: pd.DataFrame | None = None) -> pd.DataFrame:
        """Points of `metrics` of `trials` (rows of `trials()`; default: all), by step."""
        chosen = self.trials() if trials is None else trials
        return curve_frame(
            (trial, point.name, point.step, point.value)
            for trial in chosen["trial"]
            for point in self.updates[trial].points
            if point.name in metrics
        )

    def artifact(self, name: str, into: Path, run_id: str | None = None) -> Path:
        """Path of the file `name` of a run (default: the sweep's own); `into` is not used."""
        run = run_id or self.run_id
        files = self.files if run == self.run_id else self.updates[int(run.removeprefix(f"{self.run_id}/"))].artifacts
        for path in (self.home / file for file in reversed(files)):
            if path.name == name and path.is_file():
                return path
        raise TrackingError(f"run {run}: expected a file '{name}' in {self.home}, found none")

    def _row(self, trial: int, update: RunUpdate) -> dict[str, Any]:
        last: dict[str, tuple[int, float]] = {}
        for point in update.points:
            if point.name not in last or point.step >= last[point.name][0]:
                last[point.name] = (point.step, point.value)
        return trial_row(
            trial=trial,
            run_id=f"{self.run_id}/{trial}",
            name=update.name or "",
            state=update.tags.get("state", "running"),
            tags=update.tags,
            start_time=update.start_time,
            end_time=update.end_time,
            params=update.params,
            metrics={name: value for name, (_, value) in last.items()},
        )


def trial_row(
    *,
    trial: int,
    run_id: str,
    name: str,
    state: str,
    tags: Mapping[str, str],
    start_time: int,
    end_time: int | None,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
) -> dict[str, Any]:
    """One row of a frame of trials."""
    seconds = (end_time - start_time) / 1000 if end_time else float("nan")
    columns = (trial, run_id, name, tags.get("arm", ""), state, tags.get("reason", ""), seconds)
    return {
        **dict(zip(TRIAL_COLUMNS, columns, strict=True)),
        **{f"params.{key}": value for key, value in sorted(params.items())},
        **{f"metrics.{key}": value for key, value in sorted(metrics.items())},
    }


def curve_frame(points: Iterable[tuple[int, str, int, float]]) -> pd.DataFrame:
    """Frame of (trial, metric, step, value); of repeated steps the last, as a restarted trial repeats some."""
    frame = pd.DataFrame(list(points), columns=CURVE_COLUMNS)
    frame = frame.drop_duplicates(["metric", "trial", "step"], keep="last")
    return frame.sort_values(["metric", "trial", "step"], ignore_index=True)
