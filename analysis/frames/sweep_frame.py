"""One study as data frames: its trials, their curves, and a summary of each arm.

Two environment variables name the study, so that a notebook runs on any server without an edit:
TRACKING_URI (default: SQLite in ./runs) and STUDY (a study, sweep or run id; default: the newest sweep).
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from harness.common.formatting import format_settings
from harness.tracking.spool.events import SEEDS_TAG
from harness.tracking.tracked_sweep import TrackedSweep
from harness.tracking.tracking_uri import resolve_uri

VALUE = "metrics.val_accuracy"  # of the last epoch: no epoch is picked by its validation accuracy
CURVES = ("val_accuracy", "noisy_labels_corrected", "clean_labels_kept")
Z = 1.959964  # standard deviations on either side that hold 95% of a normal distribution
TABLE = ["arm", "trials", "complete", "pruned", "failed", "val_accuracy", "label_accuracy", "parameters"]


@dataclass(frozen=True)
class SweepFrame:
    """A sweep's trials, one a row, and the points of `CURVES`: trial, metric, step (the epoch), value.

    `learned` and `baselines` are the names of the arms, in the order of their first trials.
    """

    sweep: TrackedSweep
    trials: pd.DataFrame
    curves: pd.DataFrame

    @property
    def learned(self) -> list[str]:
        return self._arms(self.trials["params.method"] == "learned")

    @property
    def baselines(self) -> list[str]:
        return self._arms(self.trials["params.method"] != "learned")

    def _arms(self, chosen: "pd.Series[bool]") -> list[str]:
        return [str(arm) for arm in self.trials.loc[chosen, "arm"].unique()]

    def best(self, arm: str, count: int = 1) -> pd.DataFrame:
        """The `count` best of the trials of `arm` that ran to their end, the best first; of equals the earlier."""
        complete = self.trials[(self.trials["arm"] == arm) & (self.trials["state"] == "complete")]
        return complete.dropna(subset=VALUE).sort_values(VALUE, ascending=False, kind="stable").head(count)

    def curve(self, trial: int, metric: str) -> pd.DataFrame:
        """The points (step, value) of one curve; none where the metric was not measured."""
        chosen = (self.curves["trial"] == trial) & (self.curves["metric"] == metric)
        return self.curves.loc[chosen, ["step", "value"]]

    def images(self, trial: "pd.Series[Any]") -> int:
        """Number of validation images times seeds: the sample size of the trial's accuracy."""
        return int(trial["params.val_size"]) * self.seeds_per_trial

    @property
    def seeds_per_trial(self) -> int:
        return int(self.sweep.tags.get(SEEDS_TAG, 1))

    @property
    def begun(self) -> str:
        return datetime.fromtimestamp(self.sweep.started / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

    def varied(self, arm: str) -> list[str]:
        """The parameters that differ between the trials of `arm`."""
        rows = self.trials[self.trials["arm"] == arm]
        names = [column for column in rows.columns if column.startswith("params.") and rows[column].nunique() > 1]
        return [name.removeprefix("params.") for name in names]


def load(environ: Mapping[str, str] = os.environ) -> SweepFrame:
    """The study that `environ` names; TrackingError, with the nearest names, where there is none such."""
    # mlflow takes seconds to import: not for a study of a folder
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    uri = resolve_uri(environ.get("TRACKING_URI"), Path("runs"))
    return read(MlflowReader(uri).sweep(environ.get("STUDY") or None))


def read(sweep: TrackedSweep, curves: Sequence[str] = CURVES) -> SweepFrame:
    """`sweep` as data frames, with the points of `curves`."""
    trials = sweep.trials()
    for column in (VALUE, "metrics.label_accuracy", "params.method"):
        if column not in trials:  # a sweep without a measured trial
            trials[column] = pd.Series(index=trials.index, dtype=object if column == "params.method" else float)
    return SweepFrame(sweep, trials, sweep.curves(curves, trials))


def summary(study: SweepFrame) -> pd.DataFrame:
    """One row an arm, the best first: how its trials ended, and its best one. Accuracies as fractions."""
    rows = []
    for arm, trials in study.trials.groupby("arm", sort=False):
        best = study.best(str(arm))
        states = trials["state"].value_counts()
        row = {"arm": arm, "trials": len(trials)}
        row |= {state: int(states.get(state, 0)) for state in ("complete", "pruned", "failed")}
        if len(best):
            winner = best.iloc[0]
            parameters = format_settings({name: winner[f"params.{name}"] for name in study.varied(str(arm))}, " = ")
            row |= {"val_accuracy": winner[VALUE], "label_accuracy": winner["metrics.label_accuracy"]}
            row["parameters"] = ", ".join(parameters)
        rows.append(row)
    table = pd.DataFrame(rows, columns=TABLE)
    return table.sort_values("val_accuracy", ascending=False, kind="stable", ignore_index=True)


def interval(share: float, images: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share measured on so many images (Wilson 1927): what another draw of them may give.

    It accounts neither for the variation between seeds nor for the selection of the best of many trials.
    """
    middle = (share + Z**2 / (2 * images)) / (1 + Z**2 / images)
    half = Z / (1 + Z**2 / images) * math.sqrt(share * (1 - share) / images + Z**2 / (4 * images**2))
    return max(0.0, middle - half), min(1.0, middle + half)  # beyond by a rounding, where all or none are right


def headline(study: SweepFrame) -> str:
    """Which sweep this is: its name, server, state, trials and code."""
    sweep = study.sweep
    commit = sweep.tags.get("commit", "")[:10]
    code = f", commit {commit}{' with changes' if sweep.tags.get('dirty') == 'True' else ''}" if commit else ""
    return f"{sweep.name}: {sweep.state}, {len(study.trials)} trials, begun {study.begun}{code}; run {sweep.run_id}"
