"""Sweeps read back from MLflow as data frames.

    sweep = MlflowReader(uri).sweep("label_lr")   the newest of that study
    sweep.trials()                                one row per trial: trial, arm, state, params.*, metrics.* (the last)
    sweep.curves(["val_accuracy"])                one row per point: trial, metric, step, value

MLflow's parameters are strings; a column of them becomes numbers or booleans if all of its values are.
"""

import difflib
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")

import pandas as pd

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, in a notebook without ipywidgets
    from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from harness.tracking.mlflow_view.mlflow_internals import all_pages, open_client, redacted_line
from harness.tracking.spool.run_updates import MetricPoint, RunUpdate
from harness.tracking.tracked_sweep import TrackedSweep
from harness.tracking.tracking_uri import TrackingError, check_server, redact_uri, sqlite_path


@dataclass(frozen=True)
class MlflowSweep(TrackedSweep):
    """One sweep on a server."""

    client: MlflowClient
    experiment_id: str
    metrics: dict[str, float]

    def trials(self, kind: str = "trial") -> pd.DataFrame:
        frame = super().trials(kind)
        for column in frame.columns[frame.columns.str.startswith("params.")]:
            frame[column] = _typed(frame[column])
        return frame

    def artifact(self, name: str, into: Path, run_id: str | None = None) -> Path:
        run = run_id or self.run_id
        try:
            return Path(self.client.download_artifacts(run, name, str(into)))
        except (MlflowException, OSError) as error:
            raise TrackingError(f"run {run}: expected a file '{name}', got: {error}") from error

    def _runs(self, kind: str) -> Iterator[tuple[int, str, RunUpdate]]:
        query = f"tags.`mlflow.parentRunId` = '{self.run_id}' and tags.`harness.kind` = '{kind}'"
        for run in _search(self.client.search_runs, experiment_ids=[self.experiment_id], filter_string=query):
            info, data = run.info, run.data
            yield (
                int(data.tags.get("trial", -1)),
                info.run_id,
                RunUpdate(
                    name=info.run_name,
                    start_time=info.start_time,
                    end_time=info.end_time,
                    params=data.params,
                    tags={"state": info.status.lower(), **data.tags},
                    points=[MetricPoint(name, value, 0, 0) for name, value in data.metrics.items()],
                ),
            )

    def _points(self, run_ids: list[str], metrics: Sequence[str]) -> Iterator[tuple[str, str, int, float]]:
        curves = [(run_id, metric) for metric in metrics for run_id in run_ids]
        with ThreadPoolExecutor(8) as pool:
            histories = pool.map(lambda curve: self.client.get_metric_history(*curve), curves)
            for curve, history in zip(curves, histories, strict=True):
                yield from ((*curve, point.step, point.value) for point in history)


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
        self._client = open_client(uri)

    def sweeps(self) -> list[MlflowSweep]:
        """Every sweep of this harness on the server, the newest first."""
        experiments = [str(experiment.experiment_id) for experiment in _search(self._client.search_experiments)]
        query = "tags.`harness.kind` = 'sweep'"
        runs = _search(self._client.search_runs, experiment_ids=experiments, filter_string=query) if experiments else []
        return sorted(map(self._sweep, runs), key=lambda sweep: sweep.started, reverse=True)

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
        names = list(dict.fromkeys(name for sweep in sweeps for name in (sweep.study, sweep.name)))
        near = difflib.get_close_matches(str(study), names, n=3, cutoff=0.4) or names[:3]
        remedy = f"did you mean {' or '.join(near)}?" if near else f"run one with --tracking-uri {where}"
        got = "found none" if study is None else f"got '{study}'"
        raise TrackingError(f"expected a sweep on {where}, {got}; {remedy}")

    def _sweep(self, run: Run) -> MlflowSweep:
        tags = dict(run.data.tags)
        return MlflowSweep(
            run_id=run.info.run_id,
            name=run.info.run_name,
            study=tags.get("study", run.info.run_name),
            state=tags.get("state", run.info.status.lower()),
            started=run.info.start_time,
            tags=tags,
            client=self._client,
            experiment_id=run.info.experiment_id,
            metrics=dict(run.data.metrics),
        )


def _typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers or booleans of a column of strings, if all of them are."""
    present = column.dropna()
    if present.isin(["True", "False"]).all():
        return column.map({"True": True, "False": False})
    numbers = pd.to_numeric(present, errors="coerce")
    return column if numbers.isna().any() else numbers.reindex(column.index)


def _search(search: Any, **arguments: Any) -> list[Any]:
    """All results of a search; TrackingError where the server does not answer."""
    try:
        return list(all_pages(search, **arguments))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"the tracking server does not answer: {redacted_line(error)}") from error
