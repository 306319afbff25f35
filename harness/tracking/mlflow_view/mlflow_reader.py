"""Sweeps read back from MLflow, as data frames: all that notebooks and comparisons know of a sweep.

    sweep = MlflowReader(uri).sweep("label_lr")   the newest of that study
    sweep.trials()                          one row a trial: trial, arm, state, params.*, metrics.* (the last)
    sweep.curves(["val_accuracy"])          one row a point: trial, metric, step, value

Curves come a hundred runs a call where the store can (the SQL stores, and the call that MLflow's own charts
make), and run by run where it cannot. Parameters are strings in MLflow; a column of them is read as numbers or
truth values when all of it is.
"""

import difflib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
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
    warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, of a notebook without ipywidgets
    from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.rest_utils import http_request

from harness.common.redaction import scrub
from harness.tracking.tracking_uri import TrackingError, check_server, redact_uri, sqlite_path

PAGE = 1000  # runs of one search
BULK = 100  # runs of one call for curves
POINTS = 25_000  # the most points that such a call gives; as many may mean that some are missing
CURVE_COLUMNS = ["trial", "metric", "step", "value"]


@dataclass(frozen=True, slots=True)
class MlflowSweep:
    """One sweep on a server: its run and what hangs on it; `started` in milliseconds since the epoch."""

    client: MlflowClient
    experiment_id: str
    run_id: str
    name: str
    study: str
    state: str
    started: int
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]

    def trials(self, kind: str = "trial") -> pd.DataFrame:
        """One row a trial of the search, by its number; final values are NaN where a trial has none.

        Columns: trial, run_id, name, arm, state, reason, seconds, then params.* and metrics.*. Runs of another `kind`
        hang on the sweep too: those of a `confirmation`, numbered from a million up.
        """
        of_parent = f"tags.`mlflow.parentRunId` = '{self.run_id}' and tags.`harness.kind` = '{kind}'"
        rows = [_row(run) for run in _pages(self.client, [self.experiment_id], of_parent)]
        frame = pd.DataFrame(rows, columns=None if rows else list(_FACTS))
        for column in frame.columns[frame.columns.str.startswith("params.")]:
            frame[column] = _typed(frame[column])
        return frame.sort_values("trial", ignore_index=True)

    def curves(self, metrics: Sequence[str], trials: pd.DataFrame | None = None) -> pd.DataFrame:
        """The points of `metrics` for `trials` (some rows of `trials()`; default: all), by step."""
        chosen = self.trials() if trials is None else trials
        number = dict(zip(chosen["run_id"], chosen["trial"], strict=True))
        points = [
            (number[run], metric, step, value)
            for metric in metrics
            for run, step, value in _points(self.client, list(number), metric)
        ]
        frame = pd.DataFrame(points, columns=CURVE_COLUMNS)
        frame = frame.drop_duplicates(["metric", "trial", "step"], keep="last")  # stores give them by time
        return frame.sort_values(["metric", "trial", "step"], ignore_index=True)

    def artifact(self, name: str, into: Path, run_id: str | None = None) -> Path:
        """The file `name` of a run (default: the sweep's own), fetched into the folder `into`."""
        run = run_id or self.run_id
        try:
            return Path(self.client.download_artifacts(run, name, str(into)))
        except (MlflowException, OSError) as error:
            raise TrackingError(f"run {run}: expected a file '{name}', got: {error}") from error


class MlflowReader:
    """A tracking server to read from; TrackingError where there is none. Creates nothing."""

    def __init__(self, uri: str) -> None:
        check_server(uri)
        database = sqlite_path(uri)
        if database is not None and not database.exists():
            raise TrackingError(f"expected MLflow's database at {database}, found no such file; run a sweep first")
        self.uri = uri
        self._client = MlflowClient(uri)

    def sweeps(self) -> list[MlflowSweep]:
        """Every sweep of this harness on the server, the newest first."""
        found: list[MlflowSweep] = []
        experiments = self._experiments()
        for first in range(0, len(experiments), BULK):
            some = experiments[first : first + BULK]
            found += map(self._sweep, _pages(self._client, some, "tags.`harness.kind` = 'sweep'"))
        return sorted(found, key=lambda sweep: sweep.started, reverse=True)

    def sweep(self, study: str | None = None) -> MlflowSweep:
        """The newest sweep of that name or run id, else of that study; of all if None.

        TrackingError, with the nearest names, where there is none.
        """
        sweeps = self.sweeps()
        # A name is one sweep's, a study may be that of several: what was named is meant before what it belongs to.
        for meant in (lambda sweep: study in (None, sweep.name, sweep.run_id), lambda sweep: sweep.study == study):
            for sweep in filter(meant, sweeps):
                return sweep
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

    def _experiments(self) -> list[str]:
        found, token = [], None
        while True:
            with _told():
                page = self._client.search_experiments(max_results=PAGE, page_token=token)
            found += [str(experiment.experiment_id) for experiment in page]
            token = page.token
            if not token:
                return found

    def _sweep(self, run: Run) -> MlflowSweep:
        return MlflowSweep(
            client=self._client,
            experiment_id=run.info.experiment_id,
            run_id=run.info.run_id,
            name=run.info.run_name,
            study=run.data.tags.get("study", run.info.run_name),
            state=run.data.tags.get("state", run.info.status.lower()),
            started=run.info.start_time,
            params=dict(run.data.params),
            tags=dict(run.data.tags),
            metrics=dict(run.data.metrics),
        )


_FACTS = ("trial", "run_id", "name", "arm", "state", "reason", "seconds")


def _row(run: Run) -> dict[str, Any]:
    info, tags = run.info, run.data.tags
    seconds = (info.end_time - info.start_time) / 1000 if info.end_time else float("nan")
    facts = (
        *(int(tags.get("trial", -1)), info.run_id, info.run_name, tags.get("arm", "")),
        *(tags.get("state", info.status.lower()), tags.get("reason", ""), seconds),
    )
    return {
        **dict(zip(_FACTS, facts, strict=True)),
        **{f"params.{key}": value for key, value in sorted(run.data.params.items())},
        **{f"metrics.{key}": value for key, value in sorted(run.data.metrics.items())},
    }


def _typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    present = column.dropna()
    if present.isin(["True", "False"]).all():
        return column.map({"True": True, "False": False})
    numbers = pd.to_numeric(present, errors="coerce")
    return column if numbers.isna().any() else numbers.reindex(column.index)


@contextmanager
def _told() -> Iterator[None]:
    """What a server that fails says, in its first line."""
    try:
        yield
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"the tracking server does not answer: {scrub((str(error) or type(error).__name__).splitlines()[0])[:400]}"
        ) from error


def _pages(client: MlflowClient, experiments: list[str], query: str) -> Iterator[Run]:
    token = None
    while True:
        with _told():
            page = client.search_runs(experiments, query, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _points(client: MlflowClient, runs: list[str], metric: str) -> Iterator[tuple[str, int, float]]:
    """(run, step, value) of each point of `metric` in `runs`."""
    for first in range(0, len(runs), BULK):
        some = runs[first : first + BULK]
        points = _bulk(client, some, metric)
        yield from _one_by_one(client, some, metric) if points is None or len(points) >= POINTS else points


def _bulk(client: MlflowClient, runs: list[str], metric: str) -> list[tuple[str, int, float]] | None:
    """One call for all of `runs`; None where the store has no such call."""
    store = client._tracking_client.store
    try:
        if hasattr(store, "get_metric_history_bulk"):
            found = store.get_metric_history_bulk(runs, metric, POINTS)
            return [(point.run_id, point.step, point.value) for point in found]
        if isinstance(store, RestStore):
            answer = http_request(  # type: ignore[no-untyped-call]
                store.get_host_creds(),
                "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
                "GET",
                params={"run_id": runs, "metric_key": metric, "max_results": POINTS},
            )
            answer.raise_for_status()
            return [(point["run_id"], int(point["step"]), float(point["value"])) for point in answer.json()["metrics"]]
    except (MlflowException, OSError, ValueError, KeyError):
        return None
    return None


def _one_by_one(client: MlflowClient, runs: Iterable[str], metric: str) -> list[tuple[str, int, float]]:
    with ThreadPoolExecutor(8) as pool:
        histories = pool.map(lambda run: (run, client.get_metric_history(run, metric)), runs)
        return [(run, point.step, point.value) for run, history in histories for point in history]
