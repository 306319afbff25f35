"""Sweeps read back from MLflow as data frames.

    sweep = MlflowReader(uri).sweep("label_lr")   the newest of that study
    sweep.trials()                                one row per trial: trial, arm, state, params.*, metrics.* (the last)
    sweep.curves(["val_accuracy"])                one row per point: trial, metric, step, value

Curves are read a hundred runs per call where the store can do that, and run by run where it cannot. MLflow's parameters
are strings; a column of them becomes numbers or booleans if all of its values are.
"""

import difflib
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import pandas as pd

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, in a notebook without ipywidgets
    from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from harness.common.redaction import scrub
from harness.tracking.mlflow_view.mlflow_internals import BULK_RUNS, all_pages, bulk_history
from harness.tracking.spool.spooled_sweep import TRIAL_COLUMNS, curve_frame, trial_row
from harness.tracking.tracking_uri import TrackingError, check_server, redact_uri, sqlite_path

POINT_LIMIT = 25_000
"""Points of one call for curves, at most; a call that returns as many may have left some out."""


@dataclass(frozen=True, slots=True)
class MlflowSweep:
    """One sweep on a server; `started` in milliseconds since the epoch."""

    client: MlflowClient
    experiment_id: str
    run_id: str
    name: str
    study: str
    state: str
    started: int
    tags: dict[str, str]
    metrics: dict[str, float]

    def trials(self, kind: str = "trial") -> pd.DataFrame:
        """One row per trial of the search, by number; final values are NaN where a trial has none.

        Runs of another `kind` belong to the sweep too: those of a `confirmation`, numbered from a million up.
        """
        query = f"tags.`mlflow.parentRunId` = '{self.run_id}' and tags.`harness.kind` = '{kind}'"
        rows = [_row(run) for run in _search_runs(self.client, [self.experiment_id], query)]
        frame = pd.DataFrame(rows, columns=None if rows else list(TRIAL_COLUMNS))
        for column in frame.columns[frame.columns.str.startswith("params.")]:
            frame[column] = _typed(frame[column])
        return frame.sort_values("trial", ignore_index=True)

    def curves(self, metrics: Sequence[str], trials: pd.DataFrame | None = None) -> pd.DataFrame:
        """Points of `metrics` of `trials` (rows of `trials()`; default: all), by step."""
        chosen = self.trials() if trials is None else trials
        numbers = dict(zip(chosen["run_id"], chosen["trial"], strict=True))
        return curve_frame(
            (numbers[run_id], metric, step, value)
            for metric in metrics
            for run_id, step, value in _history(self.client, list(numbers), metric)
        )

    def artifact(self, name: str, into: Path, run_id: str | None = None) -> Path:
        """Download the file `name` of a run (default: the sweep's own) into the folder `into`."""
        run = run_id or self.run_id
        try:
            return Path(self.client.download_artifacts(run, name, str(into)))
        except (MlflowException, OSError) as error:
            raise TrackingError(f"run {run}: expected a file '{name}', got: {error}") from error


class MlflowReader:
    """Reader of the sweeps on one server; creates nothing.

    Raises:
        TrackingError: there is no such server.
    """

    def __init__(self, uri: str) -> None:
        check_server(uri)
        database = sqlite_path(uri)
        if database is not None and not database.exists():
            raise TrackingError(f"expected MLflow's database at {database}, found no such file; run a sweep first")
        self.uri = uri
        self._client = MlflowClient(uri)

    def sweeps(self) -> list[MlflowSweep]:
        """Every sweep of this harness on the server, the newest first."""
        sweeps: list[MlflowSweep] = []
        with _translated_errors():
            experiments = [str(each.experiment_id) for each in all_pages(self._client.search_experiments)]
        for first in range(0, len(experiments), BULK_RUNS):
            some = experiments[first : first + BULK_RUNS]
            sweeps += map(self._sweep, _search_runs(self._client, some, "tags.`harness.kind` = 'sweep'"))
        return sorted(sweeps, key=lambda sweep: sweep.started, reverse=True)

    def sweep(self, study: str | None = None) -> MlflowSweep:
        """The newest sweep with that name or run id, else of that study; of all sweeps if None.

        Raises:
            TrackingError: there is none; the message has the nearest names.
        """
        sweeps = self.sweeps()
        # A name belongs to one sweep, a study to several: the name comes first.
        matches = [sweep for sweep in sweeps if study in (None, sweep.name, sweep.run_id)]
        matches += [sweep for sweep in sweeps if sweep.study == study]
        if matches:
            return matches[0]
        where = redact_uri(self.uri)
        if study is not None and self._client.get_experiment_by_name(study) is not None:
            raise TrackingError(
                f"expected a sweep in the experiment '{study}' on {where}, found none; "
                f"run one with --tracking-uri {where}"
            )
        if not sweeps:
            raise TrackingError(f"expected a sweep on {where}, found none; run one with --tracking-uri {where}")
        names = list(dict.fromkeys(name for sweep in sweeps for name in (sweep.study, sweep.name)))
        near = difflib.get_close_matches(str(study), names, n=3, cutoff=0.4) or names[:3]
        raise TrackingError(f"expected a study on {where}, got '{study}'; did you mean {' or '.join(near)}?")

    def _sweep(self, run: Run) -> MlflowSweep:
        return MlflowSweep(
            client=self._client,
            experiment_id=run.info.experiment_id,
            run_id=run.info.run_id,
            name=run.info.run_name,
            study=run.data.tags.get("study", run.info.run_name),
            state=run.data.tags.get("state", run.info.status.lower()),
            started=run.info.start_time,
            tags=dict(run.data.tags),
            metrics=dict(run.data.metrics),
        )


def _row(run: Run) -> dict[str, Any]:
    info, tags = run.info, run.data.tags
    return trial_row(
        trial=int(tags.get("trial", -1)),
        run_id=info.run_id,
        name=info.run_name,
        state=tags.get("state", info.status.lower()),
        tags=tags,
        start_time=info.start_time,
        end_time=info.end_time,
        params=run.data.params,
        metrics=run.data.metrics,
    )


def _typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers or booleans of a column of strings, if all of them are."""
    present = column.dropna()
    if present.isin(["True", "False"]).all():
        return column.map({"True": True, "False": False})
    numbers = pd.to_numeric(present, errors="coerce")
    return column if numbers.isna().any() else numbers.reindex(column.index)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Turn the error of a server that does not answer into a TrackingError."""
    try:
        yield
    except (MlflowException, OSError) as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise TrackingError(f"the tracking server does not answer: {scrub(first_line)[:400]}") from error


def _search_runs(client: MlflowClient, experiment_ids: list[str], query: str) -> list[Run]:
    with _translated_errors():
        return list(all_pages(client.search_runs, experiment_ids=experiment_ids, filter_string=query))


def _history(client: MlflowClient, run_ids: list[str], metric: str) -> Iterator[tuple[str, int, float]]:
    """(run, step, value) of each point of `metric`."""
    for first in range(0, len(run_ids), BULK_RUNS):
        some = run_ids[first : first + BULK_RUNS]
        points = bulk_history(client, some, metric, POINT_LIMIT)
        if points is not None and len(points) < POINT_LIMIT:
            yield from points
            continue
        with ThreadPoolExecutor(8) as pool:
            histories = pool.map(lambda run_id: client.get_metric_history(run_id, metric), some)
            yield from (
                (run_id, point.step, point.value)
                for run_id, history in zip(some, histories, strict=True)
                for point in history
            )
