"""A sweep read back as data frames: one row per trial, and one per point of a curve."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.tracking.spool.run_updates import RunUpdate

TRIAL_COLUMNS = ["trial", "run_id", "name", "arm", "state", "reason", "seconds"]
"""Columns of every frame of trials; `params.*` and `metrics.*` (final values) follow."""
CURVE_COLUMNS = ["trial", "metric", "step", "value"]


@dataclass(frozen=True)
class TrackedSweep(ABC):
    """A sweep in its event log (`SpooledSweep`) or on a server (`MlflowSweep`); `started` in ms since the epoch."""

    run_id: str
    name: str
    study: str
    state: str
    started: int
    tags: Mapping[str, str]

    def trials(self, kind: str = "trial") -> pd.DataFrame:
        """One row per trial of the search, by number; final values are NaN where a trial has none.

        Runs of another `kind` belong to the sweep too: those of a `confirmation`, numbered from a million up.
        """
        rows = [_row(*run) for run in self._runs(kind)]
        frame = pd.DataFrame(rows, columns=None if rows else TRIAL_COLUMNS)
        return frame.sort_values("trial", ignore_index=True)

    def curves(self, metrics: Sequence[str], trials: pd.DataFrame | None = None) -> pd.DataFrame:
        """Points of `metrics` of `trials` (rows of `trials()`; default: all), by step."""
        chosen = self.trials() if trials is None else trials
        numbers = dict(zip(chosen["run_id"], chosen["trial"], strict=True))
        points = [(numbers[run_id], *point) for run_id, *point in self._points(list(numbers), metrics)]
        frame = pd.DataFrame(points, columns=CURVE_COLUMNS)
        # Of repeated steps the last, as a restarted trial repeats some.
        frame = frame.drop_duplicates(["metric", "trial", "step"], keep="last")
        return frame.sort_values(["metric", "trial", "step"], ignore_index=True)

    @abstractmethod
    def artifact(self, name: str, into: Path, run_id: str | None = None) -> Path:
        """Path of the file `name` of a run (default: the sweep's own), which may be downloaded into a folder `into`.

        Raises:
            TrackingError: there is none.
        """

    @abstractmethod
    def _runs(self, kind: str) -> Iterable[tuple[int, str, RunUpdate]]:
        """Trial number, run id and content of each run of this kind."""

    @abstractmethod
    def _points(self, run_ids: list[str], metrics: Sequence[str]) -> Iterable[tuple[str, str, int, float]]:
        """(run id, metric, step, value) of each point."""


def _row(trial: int, run_id: str, run: RunUpdate) -> dict[str, Any]:
    final: dict[str, tuple[int, float]] = {}
    for point in run.points:
        if point.name not in final or point.step >= final[point.name][0]:
            final[point.name] = (point.step, point.value)
    return {
        "trial": trial,
        "run_id": run_id,
        "name": run.name,
        "arm": run.tags.get("arm", ""),
        "state": run.tags.get("state", "running"),
        "reason": run.tags.get("reason", ""),
        "seconds": (run.end_time - run.start_time) / 1000 if run.end_time else math.nan,
        **{f"params.{key}": value for key, value in sorted(run.params.items())},
        **{f"metrics.{key}": value for key, (_, value) in sorted(final.items())},
    }
