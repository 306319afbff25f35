"""Write a sweep's events to an MLflow server.

    sweep → parent run, in the experiment named after the study     trial → child run; both have the tag harness.key

Events are grouped into one update per run, and each run is brought to that state: created where the server has none of
its key, then its parameters, tags and points in as few calls as MLflow's limits allow, its files, its status. Any step
may be repeated. What the server refuses, or keeps failing on while it takes other writes, is skipped and logged. A
server that takes nothing raises ServerUnavailable, and the same batch is sent again later.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Retries are ours: MLflow's own hold a dead port for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from harness.common.file_lock import file_lock
from harness.tracking.mlflow_view.mlflow_internals import (
    all_pages,
    http_status,
    last_points,
    open_client,
    redacted_line,
)
from harness.tracking.spool.event_log import read_events, read_sweep_id
from harness.tracking.spool.events import Event, Scalar, SweepStarted
from harness.tracking.spool.run_updates import RUNNING, STATUS, MetricPoint, RunUpdate, updates_by_run
from harness.tracking.spool.writer_log import log_line
from harness.tracking.tracking_uri import ServerUnavailable, artifact_root, sqlite_path

# Limits of one log_batch call: 100 parameters, 100 tags, 1000 entities in all.
TAGS_PER_CALL = 100
METRICS_PER_CALL = 800

TEMPORARY_STATUS = {401, 403, 408, 409, 429}
"""Client errors that may pass: not signed in, time-out, conflict, too many requests. Others are final."""

RETRY_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each retry of a call that fails while the server takes other writes."""


@dataclass(slots=True)
class ServerRun:
    """State of a run on the server: its last point (step, value) by metric, and the digests of its data sets."""

    id: str
    status: str = RUNNING
    last_points: dict[str, tuple[int, float]] = field(default_factory=dict)
    datasets: set[Scalar] = field(default_factory=set)


class MlflowWriter:
    """Writer of the sweep in one event log to one server.

    Args:
        folder: of the event log.
        rebuild: send points that the server has already, and create new runs for those that a person deleted.

    Attributes:
        study: name of the experiment, which is created where it is missing.
        skipped: number of values and files that were skipped.

    Raises:
        ServerUnavailable: the server cannot be reached.
    """

    def __init__(self, folder: Path, uri: str, rebuild: bool) -> None:
        self.folder, self.sweep_folder = folder, folder.absolute().parent
        self.sweep_id = read_sweep_id(folder)
        started = next((event for event, _ in read_events(folder) if isinstance(event, SweepStarted)), None)
        self.study = started.tags.get("study", started.name) if started else self.sweep_folder.name
        self.skipped = 0
        self._runs: dict[int | None, ServerRun] = {}  # by trial number, the sweep's own under None
        database = sqlite_path(uri)
        # SQLite's first use creates the tables; two processes that do so at once break each other.
        with file_lock(Path(f"{database}.lock")) if database else nullcontext(True) as locked:
            if not locked:
                raise ServerUnavailable(f"another process is opening {database}")
            try:
                self._client = open_client(uri)
                self.experiment_id = self._get_or_create_experiment(artifact_root(uri, self.sweep_folder.parent))
                self._find_runs(rebuild)
            except Exception as error:
                raise ServerUnavailable(redacted_line(error)) from error

    @property
    def run_id(self) -> str | None:
        """The sweep's own run; None before it exists."""
        return self._runs[None].id if None in self._runs else None

    def send(self, events: Sequence[Event]) -> None:
        """Bring every run to the state that `events` describe; once the sweep ends, no trial stays RUNNING.

        Raises:
            ServerUnavailable: send the same events again later.
        """
        updates = updates_by_run(events)
        for trial in sorted(updates, key=lambda trial: -1 if trial is None else trial):
            self._apply(trial, updates[trial])
        if None in updates and (end_time := updates[None].end_time) is not None:
            for trial, run in self._runs.items():
                if trial is not None and run.status == RUNNING:
                    interrupted = RunUpdate(start_time=end_time)
                    interrupted.set_state("interrupted", end_time)
                    self._apply(trial, interrupted)

    def _get_or_create_experiment(self, artifact_root: str | None) -> str:
        experiment = self._client.get_experiment_by_name(self.study)
        if experiment is None:
            location = None if artifact_root is None else f"{artifact_root}/{quote(self.study, safe='')}"
            return str(self._client.create_experiment(self.study, artifact_location=location))
        if experiment.lifecycle_stage != "active":
            remedy = f"`mlflow experiments restore -x {experiment.experiment_id}` brings it back"
            raise ServerUnavailable(f"experiment '{self.study}' was deleted; {remedy}")
        return str(experiment.experiment_id)

    def _find_runs(self, rebuild: bool) -> None:
        """Find this sweep's runs; those that a person deleted too, so that none is created in their place."""
        runs = all_pages(
            self._client.search_runs,
            experiment_ids=[self.experiment_id],
            filter_string=f"tags.`harness.sweep` = '{self.sweep_id}'",
            run_view_type=ViewType.ACTIVE_ONLY if rebuild else ViewType.ALL,
        )
        for run in sorted(runs, key=lambda run: run.info.lifecycle_stage == "active"):
            trial = int(run.data.tags["trial"]) if "trial" in run.data.tags else None
            self._runs[trial] = ServerRun(run.info.run_id, run.info.status, {} if rebuild else last_points(run))

    def _apply(self, trial: int | None, update: RunUpdate) -> None:
        run = self._runs.get(trial) or self._create_run(trial, update)
        if run is None:
            return
        if update.name and run.status in STATUS.values() and "reason" not in update.tags:
            # The run continues, so that it has no reason to have ended; there may be no such tag.
            self._call(lambda: self._client.delete_tag(run.id, "reason"))
        points = _new_points(run.last_points, update.points)
        tags = [RunTag(key, value) for key, value in update.tags.items()]
        params = [Param(key, str(value)) for key, value in update.params.items()]
        metrics = [Metric(*point) for point in points]
        while params or tags or metrics:
            self._log_values(
                run.id, params=params[:TAGS_PER_CALL], tags=tags[:TAGS_PER_CALL], metrics=metrics[:METRICS_PER_CALL]
            )
            params, tags, metrics = params[TAGS_PER_CALL:], tags[TAGS_PER_CALL:], metrics[METRICS_PER_CALL:]
        run.last_points |= {point.name: (point.step, point.value) for point in points}
        datasets = {part["digest"]: part for part in update.datasets if part["digest"] not in run.datasets}
        if datasets:
            inputs = [_dataset_input(part) for part in datasets.values()]
            self._call_or_skip(f"data sets of run {run.id}", lambda: self._client.log_inputs(run.id, datasets=inputs))
            run.datasets |= datasets.keys()
        for path in update.artifacts:
            self._log_file(run.id, self.sweep_folder / path)
        self._set_status(run, update)

    def _create_run(self, trial: int | None, update: RunUpdate) -> ServerRun | None:
        tags = {
            "harness.sweep": self.sweep_id,
            "harness.key": f"{self.sweep_id}/{'sweep' if trial is None else trial}",
            "harness.kind": "sweep" if trial is None else "trial",
            "sweep": self.sweep_folder.name,
            "study": self.study,
        }
        if trial is not None:
            parent = self._runs.get(None) or self._create_run(None, RunUpdate(start_time=update.start_time))
            if parent is None:
                return None
            tags |= {"trial": str(trial), "mlflow.parentRunId": parent.id}
        name = update.name or (self.sweep_folder.name if trial is None else f"trial {trial}")

        def create() -> None:
            run = self._client.create_run(self.experiment_id, update.start_time, tags, name)
            self._runs[trial] = ServerRun(run.info.run_id)

        self._call_or_skip(f"run {name}", create)
        return self._runs.get(trial)

    def _log_values(self, run_id: str, **values: Any) -> None:
        """Log `params`, `tags` and `metrics` in one call; if the server does not take them, name by name."""
        if not self._call(partial(self._client.log_batch, run_id, **values)):
            return
        for kind, entities in values.items():
            for name in dict.fromkeys(entity.key for entity in entities):
                group = [entity for entity in entities if entity.key == name]
                description = f"{name}={group[0].value}" if len(group) == 1 else f"{len(group)} points of {name}"
                alone: dict[str, Any] = {kind: group}
                self._call_or_skip(f"{description} of run {run_id}", partial(self._client.log_batch, run_id, **alone))

    def _log_file(self, run_id: str, path: Path) -> None:
        description = f"{path} of run {run_id}"
        if not path.resolve().is_relative_to(self.sweep_folder.resolve().parent):
            self._skip(description, "it lies outside of the runs folder")
        elif not path.exists():
            self._skip(description, "it is no longer there")
        elif path.is_dir():
            self._call_or_skip(description, lambda: self._client.log_artifacts(run_id, str(path), path.name))
        else:
            self._call_or_skip(description, lambda: self._client.log_artifact(run_id, str(path)))

    def _set_status(self, run: ServerRun, update: RunUpdate) -> None:
        status, end_time = update.status, update.end_time
        if status is None or status == run.status == RUNNING:
            return
        description = f"status {status} of run {run.id}"
        if end_time is None:
            self._call_or_skip(description, lambda: self._client.update_run(run.id, status))
        else:
            self._call_or_skip(description, lambda: self._client.set_terminated(run.id, status, end_time))
        run.status = status

    def _call_or_skip(self, description: str, function: Callable[[], Any]) -> None:
        if reason := self._call(function):
            self._skip(description, reason)

    def _skip(self, description: str, reason: str) -> None:
        self.skipped += 1
        log_line(self.folder, f"skipped {description}: {reason}")

    def _call(self, function: Callable[[], Any]) -> str:
        """Call the server; returns why it does not take this, empty if it does.

        Raises:
            ServerUnavailable: it takes nothing else either.
        """
        for pause in (*RETRY_PAUSES, None):
            try:
                function()
                return ""
            except Exception as error:
                reason = redacted_line(error)
                if not is_temporary(error):
                    return reason
                if _must_wait(error) or not self._takes_writes():
                    raise ServerUnavailable(reason) from error
            if pause is not None:
                time.sleep(pause)
        return reason

    def _takes_writes(self) -> bool:
        """Whether the server takes what it has already: a tag of the sweep's own run."""
        if self.run_id is None:
            return False
        try:
            self._client.log_batch(self.run_id, tags=[RunTag("harness.kind", "sweep")])
        except Exception:
            return False
        return True


def _new_points(last: Mapping[str, tuple[int, float]], points: Iterable[MetricPoint]) -> list[MetricPoint]:
    """Points that extend a curve: a restarted trial, and final values, repeat earlier ones."""
    latest, new = dict(last), []
    for point in points:
        step, value = latest.get(point.name, (-1, None))
        if point.step > step or (point.step == step and point.value != value):
            latest[point.name] = (point.step, point.value)
            new.append(point)
    return new


def _dataset_input(part: Mapping[str, Scalar]) -> DatasetInput:
    """MLflow's form of a data set, with a source that `mlflow.data.get_source` reads back."""
    profile = dict(part)
    context, name, digest, source = (str(profile.pop(key)) for key in ("context", "name", "digest", "source"))
    dataset = Dataset(name, digest, "local", json.dumps({"uri": source}), profile=json.dumps(profile))
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def is_temporary(error: Exception) -> bool:
    """Whether the same call may succeed later: the network, the server or a disk is out of order."""
    if isinstance(error, MlflowException):
        status = http_status(error)
        # A plain 404 comes from a proxy: MLflow's own is RESOURCE_DOES_NOT_EXIST.
        return not 400 <= status < 500 or status in TEMPORARY_STATUS or error.error_code == "ENDPOINT_NOT_FOUND"
    return isinstance(error, OSError) and not isinstance(error, PermissionError | FileNotFoundError)


def _must_wait(error: Exception) -> bool:
    """Whether an immediate retry does harm: the server is overloaded, or would be silent for as long again."""
    return (isinstance(error, MlflowException) and http_status(error) == 429) or "timed out" in str(error)
