"""Records become runs: the one place that writes to MLflow.

    sweep → parent run, in the experiment named after the study     trial → child run; both have a harness.key

A batch is folded into one change per run (`changes`), and each run is brought to that state: created where the
server has none of its key, its parameters, tags and points in as few calls as MLflow's limits allow, its files, its
status. Each step may be repeated at will. What the server refuses is named and stepped over; a server that is away
raises `ServerUnavailable`, and the same batch is tried again later.

A server may also break on one value or file (a 5xx each time) and take all else. So after each failure that is the
server's, it is asked to write what it holds already. If it cannot, it is away. If it can, the thing at fault is tried
in a few more rounds, then narrowed down by halves, and what is left of it is set aside for `harness.sync`.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

# Retries and patience are ours: mlflow's own hold a dead port for minutes. It reads these when it is
# imported.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException

from harness.common.file_lock import file_lock
from harness.common.redaction import scrub
from harness.tracking.spool.event_log import Event, Scalar, SweepEnded, SweepPaused, SweepStarted
from harness.tracking.spool.run_updates import RUNNING, STATUS, Change, Point, updates_by_run
from harness.tracking.tracking_uri import ServerUnavailable, sqlite_path

# Limits of one log_batch call: 100 parameters, 100 tags, 1000 entities in all.
FACTS_PER_CALL = 100
METRICS_PER_CALL = 800

# A client's mistake is refused for good; these may pass: not signed in, time-out, conflict, too many
# requests.
PASSING = {401, 403, 408, 409, 429}

TRIES = 4
"""Rounds in which the server fails on something, and takes other things, before that is set aside."""

Entity = Metric | Param | RunTag


class Unsure(ServerUnavailable):
    """The server fails on something and takes other things; it is tried again before it is set aside."""


class MlflowWriter:
    """One sweep on one server. `home` is the sweep's folder, `say` takes a line for the log.

    Connecting creates the experiment where it is missing and reads which runs of the sweep are there already.
    `revive=False` leaves runs that a person deleted alone; True makes new ones in their place. `failures` counts the
    rounds in which the server failed on a thing, and outlives this object. `again=True` sends points of curves also
    where later ones are there: some had been set aside.
    """

    def __init__(
        self,
        uri: str,
        sweep: str,
        study: str,
        home: Path,
        artifacts: str | None,
        say: Callable[[str], None],
        revive: bool = False,
        failures: Counter[str] | None = None,
        again: bool = False,
    ) -> None:
        self.sweep, self.study, self.home = sweep, study, home
        self.refused = self.aside = 0
        self._failures: Counter[str] = Counter() if failures is None else failures
        self._again = again
        self._say = say
        self._runs: dict[int | None, str] = {}
        self._status: dict[int | None, str] = {}
        self._last: dict[int | None, dict[str, tuple[int, float]]] = {}
        self._deleted: set[str] = set()
        self._data: dict[str, set[Scalar]] = {}
        with ExitStack() as stack:
            database = sqlite_path(uri)
            if database is not None:
                # The first use makes the tables, and two processes that do so at once break each other.
                lock = database.with_name(database.name + ".lock")
                if not stack.enter_context(file_lock(lock)):
                    raise ServerUnavailable(f"another process is opening {database}")
            try:
                self._client = MlflowClient(uri)
                self.experiment_id = self._experiment(artifacts)
                self._find_runs(ViewType.ACTIVE_ONLY if revive else ViewType.ALL)
            except Exception as error:
                raise ServerUnavailable(_line(error)) from error

    @property
    def run_id(self) -> str | None:
        """The sweep's own run, once there is one."""
        return self._runs.get(None)

    def send(self, records: Sequence[Event]) -> None:
        """Brings every run that `records` speak of to what they say; ServerUnavailable if the server is."""
        changes = updates_by_run(records)
        unsure: Unsure | None = None
        for trial in sorted(changes, key=lambda trial: -1 if trial is None else trial):
            try:
                self._apply(trial, changes[trial])
            except Unsure as error:  # the other runs need not wait
                unsure = error
        if unsure is not None:
            raise unsure
        turns = (record for record in reversed(records) if isinstance(record, SweepStarted | SweepPaused | SweepEnded))
        last = next(turns, None)
        if isinstance(last, SweepPaused | SweepEnded):
            self._interrupt_trials(last.time)

    def interrupt(self, time: int) -> None:
        """The driver is gone without a word: nothing stays RUNNING by mistake."""
        self._interrupt_trials(time)
        if self._status.get(None) == RUNNING:
            change = Change(start_time=time, tags={"reason": "the driver ended without a word"})
            change.turn("interrupted", time)
            self._apply(None, change)

    def _interrupt_trials(self, time: int) -> None:
        running = [trial for trial, status in self._status.items() if status == RUNNING and trial is not None]
        for trial in running:
            change = Change(start_time=time)
            change.turn("interrupted", time)
            self._apply(trial, change)

    def _experiment(self, artifacts: str | None) -> str:
        found = self._client.get_experiment_by_name(self.study)
        if found is None:
            location = None if artifacts is None else f"{artifacts}/{quote(self.study, safe='')}"
            return str(self._client.create_experiment(self.study, artifact_location=location))
        if found.lifecycle_stage != "active":
            remedy = f"`mlflow experiments restore -x {found.experiment_id}` brings it back"
            raise ServerUnavailable(f"experiment '{self.study}' was deleted; {remedy}")
        return str(found.experiment_id)

    def _find_runs(self, view: int) -> None:
        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment_id], f"tags.`harness.sweep` = '{self.sweep}'", view, 1000, page_token=token
            )
            for run in sorted(page, key=lambda run: run.info.lifecycle_stage == "active"):
                number = run.data.tags.get("trial")
                trial = None if number is None else int(number)
                self._runs[trial], self._status[trial] = run.info.run_id, run.info.status
                points = run.data.to_proto().metrics  # `data.metrics` leaves the steps out
                self._last[trial] = {point.key: (point.step, point.value) for point in points}
                if run.info.lifecycle_stage != "active":
                    self._deleted.add(run.info.run_id)
            token = page.token
            if not token:
                return

    def _apply(self, trial: int | None, change: Change) -> None:
        run = self._runs.get(trial) or self._create(trial, change)
        if run is None:
            return
        if run in self._deleted:
            self._note(f"run {run} was deleted by hand; `harness.sync --rebuild` makes it anew")
            return
        if change.name and self._status[trial] in STATUS.values() and "reason" not in change.tags:
            self._forget_reason(run)
        points = self._news(trial, change.points)
        tags = [RunTag(key, value) for key, value in change.tags.items()]
        params = [Param(key, str(value)) for key, value in change.params.items()]
        metrics = [Metric(*point) for point in points]
        facts = max(len(tags), len(params))
        rounds = max(math.ceil(facts / FACTS_PER_CALL), math.ceil(len(points) / METRICS_PER_CALL))
        for i in range(rounds):
            few = slice(i * FACTS_PER_CALL, (i + 1) * FACTS_PER_CALL)
            many = slice(i * METRICS_PER_CALL, (i + 1) * METRICS_PER_CALL)
            self._log(run, [*params[few], *tags[few], *metrics[many]])
        self._failures.pop(f"values of run {run}", None)
        self._last.setdefault(trial, {}).update({point.name: (point.step, point.value) for point in points})
        self._log_data(run, change.data)
        for path in change.artifacts:
            self._log_file(run, self.home / path)
        self._set_status(trial, run, change)

    def _news(self, trial: int | None, points: Iterable[Point]) -> list[Point]:
        """Those of `points` that carry a curve on; a restarted trial, and the final values, tell old ones again."""
        if self._again:
            return list(points)  # the same point twice is one to the server
        last = dict(self._last.get(trial, {}))
        news = []
        for point in points:
            before = last.get(point.name)
            if before is None or point.step > before[0] or (point.step == before[0] and point.value != before[1]):
                last[point.name] = (point.step, point.value)
                news.append(point)
        return news

    def _create(self, trial: int | None, change: Change) -> str | None:
        key = "sweep" if trial is None else str(trial)
        tags = {
            "harness.sweep": self.sweep,
            "harness.key": f"{self.sweep}/{key}",
            "harness.kind": "sweep" if trial is None else "trial",
            "sweep": self.home.name,
            "study": self.study,
        }
        if trial is not None:
            tags["trial"] = str(trial)
            parent = self._runs.get(None) or self._create(None, Change(start_time=change.start_time))
            if parent is None:
                return None
            tags["mlflow.parentRunId"] = parent
        name = change.name or (self.home.name if trial is None else f"trial {trial}")
        try:
            run = self._client.create_run(self.experiment_id, change.start_time, tags, name)
        except Exception as error:
            self._refuse(error, f"run {name}")
            return None
        self._runs[trial], self._status[trial] = run.info.run_id, RUNNING
        return str(run.info.run_id)

    def _log(self, run: str, entities: Sequence[Entity]) -> None:
        """One call; where the server refuses it, halves, down to the values at fault."""
        try:
            self._client.log_batch(
                run,
                metrics=[entity for entity in entities if isinstance(entity, Metric)],
                params=[entity for entity in entities if isinstance(entity, Param)],
                tags=[entity for entity in entities if isinstance(entity, RunTag)],
            )
        except Exception as error:
            if is_away(error):
                self._suspect(error, f"values of run {run}")
            if len(entities) > 1:
                half = len(entities) // 2
                self._log(run, entities[:half])
                self._log(run, entities[half:])
            else:
                self._step_over(error, f"{entities[0].key}={entities[0].value} of run {run}")

    def _forget_reason(self, run: str) -> None:
        """A run that goes on has no reason to have ended."""
        try:
            self._client.delete_tag(run, "reason")
        except Exception as error:
            if is_away(error):
                self._suspect(error, f"reason of run {run}")

    def _log_data(self, run: str, parts: Iterable[Mapping[str, Scalar]]) -> None:
        """The data sets that the run has not as inputs yet, in one call; the server keeps each pair of them once."""
        known = self._data.setdefault(run, set())
        fresh = {part["digest"]: part for part in parts if part["digest"] not in known}
        if not fresh:
            return
        try:
            self._client.log_inputs(run, datasets=[_input(part) for part in fresh.values()])
        except Exception as error:
            self._refuse(error, f"data sets of run {run}")
        known.update(fresh)

    def _log_file(self, run: str, path: Path) -> None:
        if not path.resolve().is_relative_to(self.home.resolve().parent):
            self._note(f"{path} of run {run} lies outside of the runs folder, and is not sent")
            return
        if not path.exists():
            self._note(f"{path} of run {run} is no longer there")
            return
        try:
            if path.is_dir():
                self._client.log_artifacts(run, str(path), path.name)
            else:
                self._client.log_artifact(run, str(path))
        except Exception as error:
            self._refuse(error, f"{path} of run {run}")

    def _set_status(self, trial: int | None, run: str, change: Change) -> None:
        if change.status is None or change.status == self._status.get(trial) == RUNNING:
            return
        try:
            if change.end_time is None:
                self._client.update_run(run, change.status)
            else:
                self._client.set_terminated(run, change.status, change.end_time)
        except Exception as error:
            self._refuse(error, f"status {change.status} of run {run}")
        self._status[trial] = change.status

    def _refuse(self, error: Exception, what: str) -> None:
        """Steps over what the server refused, or failed on too often; ServerUnavailable where it may take it later."""
        if is_away(error):
            self._suspect(error, what)
            self._failures.pop(what, None)
        self._step_over(error, what)

    def _suspect(self, error: Exception, what: str) -> None:
        """Returns if `what` alone is at fault and was tried often enough, else raises ServerUnavailable."""
        # A server that is silent would be silent once more, for as long.
        if "timed out" in str(error) or not self._writes():
            raise ServerUnavailable(_line(error)) from error
        if self._failures[what] < TRIES:
            self._failures[what] += 1
        if self._failures[what] < TRIES:
            raise Unsure(f"{what}: {_line(error)}") from error

    def _writes(self) -> bool:
        """Whether the server takes what it holds already: a tag of the sweep's own run."""
        run = self.run_id
        if run is None or run in self._deleted:
            return False
        try:
            self._client.log_batch(run, tags=[RunTag("harness.kind", "sweep")])
        except Exception:
            return False
        return True

    def _step_over(self, error: Exception, what: str) -> None:
        if is_away(error):
            self.aside += 1
            self._say(f"the server fails on it alone, set aside: {what}: {_line(error)}")
        else:
            self._note(f"{what}: {_line(error)}")

    def _note(self, line: str) -> None:
        self.refused += 1
        self._say(f"refused, stepped over: {line}")


def _input(part: Mapping[str, Scalar]) -> DatasetInput:
    """A part of the data in MLflow's words, with a source that `mlflow.data.get_source` reads back."""
    facts = dict(part)
    context, name, digest, source = (str(facts.pop(key)) for key in ("context", "name", "digest", "source"))
    data = Dataset(
        name=name,
        digest=digest,
        source_type="local",
        source=json.dumps({"uri": source}),
        profile=json.dumps(facts),
    )
    return DatasetInput(data, [InputTag("mlflow.data.context", context)])


def is_away(error: Exception) -> bool:
    """Whether the same call may succeed later: the network, the server or a disk is out of order."""
    if isinstance(error, MlflowException):
        # A plain 404 comes from a proxy: MLflow's own says RESOURCE_DOES_NOT_EXIST.
        status = ERROR_CODE_TO_HTTP_STATUS.get(error.error_code, 500)
        return not 400 <= status < 500 or status in PASSING or error.error_code == "ENDPOINT_NOT_FOUND"
    return isinstance(error, OSError) and not isinstance(error, PermissionError | FileNotFoundError)


def _line(error: Exception) -> str:
    """The first line of an error, without credentials."""
    text = str(error).strip() or type(error).__name__
    return scrub(text.splitlines()[0])[:400]
