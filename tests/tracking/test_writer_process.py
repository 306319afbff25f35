"""The writer loses nothing and says nothing twice: killed anywhere, its server away, its driver gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    REQUEST_LIMIT_EXCEEDED,
    TEMPORARILY_UNAVAILABLE,
    UNAUTHENTICATED,
)

from harness.sync import main as sync
from harness.tracking import tracker as tracker_module
from harness.tracking.mlflow_view import mlflow_writer
from harness.tracking.mlflow_view.writer_process import EventSender, ParentProcess, main, send_until_done
from harness.tracking.spool.cursor import Cursor, count_pending
from harness.tracking.spool.events import EpochMetrics, SweepEnded, SweepStarted, TrialStarted
from harness.tracking.spool.writer_log import FILE as LOG
from harness.tracking.tracker import Tracker
from tests.tracking.conftest import free_port, mlflow_server
from tests.tracking.faults import Fault, FaultProxy, on_each_call
from tests.tracking.sweeps import BEGIN, send, shown, sweep_events, trial_events, write_events


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def send_without_driver(folder: Path, uri: str, seconds: float) -> bool:
    sender = EventSender(folder, uri)
    return send_until_done(sender, ParentProcess(), interval=0.01, drain_seconds=seconds)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def numbered_sweep(folder: Path) -> Path:
    """A sweep of two trials with a file, in the spool `folder`."""
    (folder.parent / "trials").mkdir(parents=True)
    (folder.parent / "study.journal").touch()
    (folder.parent / "space.yaml").write_text("a: 1\n")
    start = SweepStarted(name="a study", artifacts=(str(folder.parent / "space.yaml"),), time=BEGIN)
    return write_events(folder, [start, *trial_events(0), *trial_events(2), SweepEnded(time=BEGIN + 500_000)])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_writer_killed_at_any_call_leaves_nothing_out_and_nothing_double(
    after: bool, runs: Path, tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = numbered_sweep(runs / "a study" / "spool")
    expected: dict[str, Any] = {}
    for fatal in range(1, 100):
        database = tmp_path / f"{fatal}.db"
        database.write_bytes(empty_database.read_bytes())
        store = f"sqlite:///{database}"

        def act(call: int, fatal: int = fatal) -> None:
            if call == fatal:
                raise Killed

        with monkeypatch.context() as patch:
            on_each_call(patch, act, after)
            try:
                send(folder, store)
                died = False
            except Killed:
                died = True
        send(folder, store)
        expected = expected or shown(store)
        assert shown(store) == expected
        if not died:
            break
    assert fatal > 8, "the sweep was sent in fewer calls than it has runs, values and files"
    assert {run["status"] for run in expected.values()} == {"FINISHED", "FAILED"}


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("busy", TEMPORARILY_UNAVAILABLE),
        MlflowException("API request failed", INTERNAL_ERROR),
        requests.ConnectionError("refused"),
        OSError(28, "No space left on device"),
        MlflowException("slow down", REQUEST_LIMIT_EXCEEDED),
        MlflowException("sign in", UNAUTHENTICATED),
    ],
    ids=["503", "500", "connection", "disk", "429", "401"],
)
def test_a_server_that_fails_for_a_while_gets_everything_when_it_is_back(
    error: Exception,
    log_folder: Path,
    store: str,
    other_store: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_events(log_folder, sweep_events(2))

    def act(call: int) -> None:
        if 2 <= call <= 4:
            raise error

    on_each_call(monkeypatch, act, after=False)
    monkeypatch.setattr("harness.tracking.mlflow_view.writer_process.FIRST_WAIT", 0.01)
    assert send_without_driver(log_folder, store, seconds=20)
    assert count_pending(log_folder, store) == 0
    monkeypatch.undo()
    send(log_folder, other_store)
    assert shown(store) == shown(other_store)
    unavailable, available = (log_folder / LOG).read_text().splitlines()
    assert f"{store} is unavailable: " in unavailable
    assert available.endswith(f"{store} is available again")


BROKEN = MlflowException("API request failed", INTERNAL_ERROR)


def breaking_on(monkeypatch: pytest.MonkeyPatch, method: str, poison: Callable[..., bool]) -> None:
    """From now on the server fails on each such call that is poison."""
    original = getattr(MlflowClient, method)

    def call(self: MlflowClient, *args: Any, **kwargs: Any) -> Any:
        if poison(*args, **kwargs):
            raise BROKEN
        return original(self, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, method, call)


def poisoned_point(run: str, metrics: Sequence[Metric] = (), **others: Any) -> bool:
    return any(point.key == "train_loss" and point.value == 2.0 / 3 for point in metrics)


def poisoned_run(experiment: str, start: int, tags: Mapping[str, str], name: str) -> bool:
    return name == "learned-001"


def poisoned_file(run: str, path: str) -> bool:
    return path.endswith("space.yaml")


@pytest.mark.parametrize(
    ("method", "poison", "named"),
    [
        ("log_batch", poisoned_point, "points of train_loss of run"),
        ("create_run", poisoned_run, "run learned-001"),
        ("log_artifact", poisoned_file, "space.yaml"),
        ("log_inputs", lambda run, datasets: True, "data sets of run"),
        ("set_terminated", lambda run, status, time: status == "KILLED", "status KILLED"),
    ],
    ids=["value", "run", "file", "data", "status"],
)
def test_what_a_server_keeps_failing_on_is_skipped_and_holds_up_nothing_else(
    method: str,
    poison: Callable[..., bool],
    named: str,
    runs: Path,
    store: str,
    other_store: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = runs / "a study" / "spool"
    folder.parent.mkdir()
    (folder.parent / "space.yaml").write_text("a: 1\n")
    first, *rest = sweep_events(3)
    write_events(folder, iter([replace(first, artifacts=(str(folder.parent / "space.yaml"),)), *rest]))
    send(folder, other_store)
    with monkeypatch.context() as patch:
        breaking_on(patch, method, poison)
        patch.setattr(mlflow_writer, "RETRY_PAUSES", (0.0,))
        send(folder, store)
    cursor = Cursor.load(folder, store)
    assert count_pending(folder, store) == 0
    assert cursor.skipped > 0
    assert cursor.unreachable == ""
    assert named in (folder / LOG).read_text()
    sent, whole = shown(store), shown(other_store)
    assert sent != whole
    untouched = whole.keys() - {"a study", "learned-000", "learned-001"}
    assert {name: sent[name]["curves"] for name in untouched} == {name: whole[name]["curves"] for name in untouched}
    assert all("val_accuracy" in sent[name]["curves"] for name in sent.keys() - {"a study"}), (
        "one name alone is skipped"
    )

    send(folder, store, rebuild=True)
    assert shown(store) == whole, "rebuilt on a server that works, it is as if nothing had failed"
    assert Cursor.load(folder, store).skipped == 0


@pytest.mark.parametrize(
    "methods",
    [("log_batch", "log_inputs", "set_terminated"), ("create_experiment",)],
    ids=["that reads and does not write", "that does neither"],
)
def test_a_server_that_stays_unavailable_is_given_up_when_the_driver_has_ended(
    methods: Sequence[str], log_folder: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(log_folder, sweep_events(2))
    for method in methods:
        breaking_on(monkeypatch, method, lambda *_, **__: True)
    begin = time.monotonic()
    assert not send_without_driver(log_folder, store, seconds=1.0)
    assert 0.9 < time.monotonic() - begin < 5
    cursor = Cursor.load(log_folder, store)
    assert (cursor.offset, cursor.skipped, cursor.unreachable) == (0, 0, "API request failed")


@pytest.mark.parametrize("start_at", [3, None], ids=["started", "never started"])
def test_a_sweep_with_its_tracker_is_on_the_server_when_finish_returns(
    start_at: int | None, log_folder: Path, store: str
) -> None:
    tracker = Tracker(log_folder, store, interval=0.2)
    for index, event in enumerate(sweep_events(3)):
        tracker.append(event)
        if index == start_at:
            tracker.start()
    status = tracker.finish(timeout=60)
    assert (status.tracking_uri, status.experiment) == (store, "a study")
    assert (status.pending, status.skipped, status.unreachable) == (0, 0, "")
    assert MlflowClient(store).get_run(status.run_id).info.status == "FINISHED"
    assert len(shown(store)) == 4


def test_a_writer_that_cannot_start_is_reported(log_folder: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    tracker = Tracker(log_folder, store)
    tracker.append(SweepStarted(name="a study"))
    sent = tracker.finish(timeout=10)
    assert (sent.pending, sent.unreachable) == (1, f"the writer process failed, see {log_folder / 'writer.err'}")


def test_the_writer_refuses_a_folder_without_an_event_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "found no such file" in capsys.readouterr().err


DRIVER = """
import os, signal, sys, time
from pathlib import Path
from harness.tracking.tracker import Tracker
from tests.tracking.sweeps import sweep_events, trial_events

tracker = Tracker(Path(sys.argv[1]), sys.argv[2], interval=0.2)
for each in [*list(sweep_events(1))[:-1], *list(trial_events(3))[:-2]]:
    tracker.append(each)
tracker.start()
print(tracker._process.pid, flush=True)
time.sleep(float(sys.argv[3]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 8.0], ids=["before the first batch", "after it"])
def test_when_the_driver_is_killed_the_rest_is_sent_and_no_run_stays_running(
    seconds: float, log_folder: Path, store: str
) -> None:
    driver = subprocess.run(
        [sys.executable, "-c", DRIVER, str(log_folder), store, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert driver.returncode == -signal.SIGKILL
    writer = int(driver.stdout)
    until(lambda: not Path(f"/proc/{writer}").exists() or "Z" in Path(f"/proc/{writer}/stat").read_text().split()[2])
    assert count_pending(log_folder, store) == 0
    assert {name: (run["status"], run["tags"]["state"]) for name, run in shown(store).items()} == {
        "a study": ("KILLED", "interrupted"),
        "learned-000": ("FINISHED", "complete"),
        "learned-003": ("KILLED", "interrupted"),
    }


@pytest.mark.slow
def test_a_writer_killed_with_the_driver_alive_is_started_again(
    log_folder: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker_module, "RESTART_INTERVAL", 0.5)
    tracker = Tracker(log_folder, store, interval=0.1)
    tracker.append(SweepStarted(name="a study", time=BEGIN))
    tracker.start()
    expected = []
    for step in range(1, 160):
        if step == 1:
            tracker.append(TrialStarted(trial=0, name="learned-000", time=BEGIN))
        tracker.append(EpochMetrics(trial=0, step=step, metrics={"loss": 1 / step}, time=BEGIN + step))
        expected.append((step, 1 / step, BEGIN + step))
        if step % 50 == 0:
            assert tracker._process is not None
            os.kill(tracker._process.pid, signal.SIGKILL)
        time.sleep(0.06)
    tracker.append(SweepEnded(time=BEGIN + 1000))
    assert tracker.finish(timeout=60).pending == 0
    assert shown(store)["learned-000"]["curves"]["loss"] == expected
    assert shown(store)["a study"]["status"] == "FINISHED"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "503", "hang"])
def test_a_server_that_is_out_of_order_costs_the_driver_nothing_and_catches_up(
    fault: Fault, log_folder: Path, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    before, *rest = sweep_events(3)
    proxy.fault = fault
    tracker = Tracker(log_folder, proxy.url, interval=0.1)
    tracker.append(before)
    tracker.start()
    until(lambda: bool(tracker.status().unreachable))
    begin = time.monotonic()
    for event in rest:
        tracker.append(event)
    assert time.monotonic() - begin < 1, "nothing waits for the server, whose answers would take two seconds"
    proxy.fault = "none"
    until(lambda: tracker.status().pending == 0)
    sent = tracker.finish(timeout=60)
    assert (sent.pending, sent.skipped, sent.unreachable) == (0, 0, "")
    client = MlflowClient(proxy.url)
    assert client.get_run(sent.run_id).info.status == "FINISHED"
    runs = client.search_runs(
        [client.get_experiment_by_name("a study").experiment_id], f"tags.`mlflow.parentRunId` = '{sent.run_id}'"
    )
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED", "KILLED"]


@pytest.mark.slow
def test_a_sweep_that_ends_while_the_server_is_unreachable_ends_at_once_and_reports_what_is_left(
    log_folder: Path, proxy: FaultProxy
) -> None:
    proxy.fault = "drop"
    tracker = Tracker(log_folder, proxy.url, interval=0.1, drain_seconds=1.0)
    for event in sweep_events(2):
        tracker.append(event)
    tracker.start()
    until(lambda: bool(tracker.status().unreachable))
    begin = time.monotonic()
    sent = tracker.finish(timeout=60)
    assert time.monotonic() - begin < 10
    assert sent.pending == len(list(sweep_events(2)))
    assert sent.run_id is None
    proxy.fault = "none"
    send(log_folder, proxy.url)
    assert count_pending(log_folder, proxy.url) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("poison", "named"),
    [(b'"0.30000000000000004"', "label_lr=0.3"), (b"space.yaml", "space.yaml")],
    ids=["parameter", "file"],
)
def test_over_http_what_always_gets_a_500_is_skipped_and_a_rebuild_sends_it_once_that_is_mended(
    poison: bytes,
    named: str,
    runs: Path,
    other_store: str,
    proxy: FaultProxy,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mlflow_writer, "RETRY_PAUSES", (0.1,))
    folder = numbered_sweep(runs / "a study" / "spool")
    command = ["a study", "--runs-dir", str(runs), "--tracking-uri", proxy.url, "--rebuild"]
    proxy.poison = poison
    assert sync(command) == 0
    assert "the server did not take 1 values or files" in capsys.readouterr().err
    assert named in (folder / LOG).read_text()
    proxy.poison = b""
    assert sync(command) == 0
    assert capsys.readouterr().err == ""
    client = MlflowClient(proxy.url)
    sweep = client.get_run(Cursor.load(folder, proxy.url).run_id)
    assert [file.path for file in client.list_artifacts(sweep.info.run_id)] == ["space.yaml"]
    ours = f"tags.`mlflow.parentRunId` = '{sweep.info.run_id}'"  # other tests leave sweeps on this server too
    children = client.search_runs([sweep.info.experiment_id], f"{ours} and params.label_lr = '0.30000000000000004'")
    assert [run.info.run_name for run in children] == ["learned-002"]


@pytest.mark.slow
def test_a_server_killed_while_it_is_sent_to_has_everything_once_when_it_is_back(
    runs: Path, tmp_path: Path, empty_database: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = numbered_sweep(runs / "a study" / "spool")
    send(folder, store)
    served = tmp_path / "served"
    served.mkdir()
    (served / "mlflow.db").write_bytes(empty_database.read_bytes())
    port = free_port()
    with ExitStack() as alive, monkeypatch.context() as patch:
        url = alive.enter_context(mlflow_server(served, port))
        on_each_call(patch, lambda call: alive.close() if call == 5 else None, after=False)
        assert not send_without_driver(folder, url, seconds=1.0)
    assert Cursor.load(folder, url).unreachable
    with mlflow_server(served, port):
        assert shown(url), "some of it came before the kill"
        assert send_without_driver(folder, url, seconds=30)
        assert count_pending(folder, url) == 0
        assert shown(url) == shown(store)
