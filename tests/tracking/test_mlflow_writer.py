"""What a server shows of a sweep is what its events say, however often they are sent."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.tracking.spool.cursor import Cursor, cursor_path
from harness.tracking.spool.events import (
    ArtifactsAdded,
    EpochMetrics,
    Event,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)
from harness.tracking.spool.writer_log import FILE as LOG
from tests.tracking.faults import on_each_call
from tests.tracking.sweeps import BEGIN, EPOCHS, send, shown, sweep_events, trial_events, write_events

Show = Callable[[Iterable[Event]], dict[str, dict[str, Any]]]


@pytest.fixture
def show(log_folder: Path, store: str) -> Show:
    """Append events, send them by a sender that starts anew, and return what the server shows then."""

    def show(events: Iterable[Event]) -> dict[str, dict[str, Any]]:
        write_events(log_folder, events)
        send(log_folder, store)
        return shown(store)

    return show


def log_of(folder: Path) -> str:
    return (folder / LOG).read_text() if (folder / LOG).exists() else ""


def test_a_sweep_is_a_parent_run_and_each_trial_a_child_with_its_status(show: Show) -> None:
    runs = show(sweep_events(3))
    assert {name: (run["parent"], run["status"]) for name, run in runs.items()} == {
        "a study": (None, "FINISHED"),
        "learned-000": ("a study", "FINISHED"),
        "learned-001": ("a study", "KILLED"),
        "learned-002": ("a study", "FAILED"),
    }
    assert runs["learned-001"]["tags"]["state"] == "pruned"
    assert runs["learned-002"]["tags"]["reason"] == "diverged"


def test_a_run_has_the_parameters_tags_times_and_curves_of_its_trial(show: Show) -> None:
    run = show(sweep_events(2))["learned-001"]
    start = BEGIN + 60_000
    assert run["params"] == {"label_lr": "0.2", "meta_interval": "2", "method": "learned", "train_on_meta": "False"}
    tags = run["tags"]
    assert (tags["arm"], tags["study"], tags["trial"], tags["harness.kind"]) == ("learned", "a study", "1", "trial")
    assert (run["start_time"], run["end_time"]) == (start, start + 1000 * (EPOCHS + 1))
    epochs = range(1, EPOCHS + 1)
    assert run["curves"]["train_loss"] == [(epoch, 2.0 / epoch + 1, start + 1000 * epoch) for epoch in epochs]


def test_the_data_sets_of_trials_are_their_inputs_and_the_sweep_has_each_once(show: Show) -> None:
    runs = show(sweep_events(3))

    def parts(*digests: int) -> list[tuple[str, ...]]:
        return [(c, "toy", f"{c}-{n}", "data/toy", '{"images": 7}') for c in ("train", "validation") for n in digests]

    assert runs["learned-000"]["data"] == runs["learned-002"]["data"] == parts(0)
    assert runs["learned-001"]["data"] == parts(1)
    assert runs["a study"]["data"] == parts(0, 1)


def test_a_value_that_is_not_finite_is_a_tag_and_the_rest_of_the_curve_stands(show: Show) -> None:
    run = show(sweep_events(3))["learned-002"]
    assert run["tags"]["nonfinite.train_loss"] == f"nan at step {EPOCHS}"
    assert len(run["curves"]["train_loss"]) == EPOCHS - 1
    assert all(math.isfinite(value) for _, value, _ in run["curves"]["train_loss"])


def test_files_are_on_their_runs_and_those_of_a_local_store_in_the_runs_folder(
    show: Show, log_folder: Path, store: str, runs: Path
) -> None:
    home = log_folder.parent
    for name in ("space.yaml", "labels.npz", "model/MLmodel", "model/weights"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    shows = show(
        [
            SweepStarted(name="a study", artifacts=(str(home / "space.yaml"),)),
            TrialStarted(trial=0, name="learned-000"),
            TrialEnded(trial=0, state="complete", artifacts=(str(home / "labels.npz"),)),
            ArtifactsAdded(trial=0, artifacts=(str(home / "model"),)),
        ]
    )
    assert shows["a study"]["files"] == ["space.yaml"]
    assert shows["learned-000"]["files"] == ["labels.npz", "model"]
    client = MlflowClient(store)
    (run,) = client.search_runs(["1"], "tags.trial = '0'")
    assert len(client.list_artifacts(run.info.run_id, "model")) == 2
    assert run.info.status == "FINISHED", "a trial that leaves a folder later has ended"
    location = client.get_experiment_by_name("a study").artifact_location
    assert location == (runs / "mlartifacts").as_uri() + "/a%20study"


@pytest.mark.parametrize("batch", [4, 2000])
def test_sending_everything_again_in_whatever_batches_shows_the_same(
    batch: int, log_folder: Path, store: str, other_store: str, monkeypatch: pytest.MonkeyPatch, show: Show
) -> None:
    before = show(sweep_events(3))
    monkeypatch.setattr("harness.tracking.mlflow_view.writer_process.BATCH", batch)
    cursor_path(log_folder, store).write_text('{"tracking_uri": "a damaged curs')
    send(log_folder, store)
    assert shown(store) == before
    send(log_folder, store, rebuild=True)
    assert shown(store) == before
    send(log_folder, other_store)
    assert shown(other_store) == before


def test_a_trial_costs_a_handful_of_calls(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    on_each_call(monkeypatch, calls.append, after=False)
    show(sweep_events(6))
    assert len(calls) <= 1 + 4 * 7, "an experiment, and for each of 7 runs: create, values, data sets, status"


def test_more_values_than_one_call_may_hold_all_arrive(show: Show) -> None:
    params = {f"p{i:03d}": i for i in range(250)}
    tags = {f"t{i:03d}": str(i) for i in range(150)}
    curve = [EpochMetrics(trial=0, step=s, metrics={"a": s / 7, "b": -s}, time=BEGIN + s) for s in range(1, 1200)]
    run = show([TrialStarted(trial=0, name="long", params=params, tags=tags, time=BEGIN), *curve])["long"]
    assert run["params"] == {key: str(value) for key, value in params.items()}
    assert tags.items() <= run["tags"].items()
    assert [step for step, _, _ in run["curves"]["a"]] == list(range(1, 1200))
    assert [value for _, value, _ in run["curves"]["b"]] == [-s for s in range(1, 1200)]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_sweep_that_is_interrupted_is_killed_with_its_trials_and_continues_in_the_same_runs(
    at_once: bool, show: Show
) -> None:
    first, *rest = trial_events(0)
    interrupted = SweepEnded(state="interrupted", reason="by hand", time=BEGIN + 9)
    before = [SweepStarted(name="a study", time=BEGIN), first, *rest[:2], interrupted]
    after = [SweepStarted(name="a study", time=BEGIN + 10), first, *rest[2:]]
    if not at_once:
        runs = show(before)
        assert {(run["status"], run["tags"]["state"]) for run in runs.values()} == {("KILLED", "interrupted")}
        assert runs["a study"]["tags"]["reason"] == "by hand"
        assert show(after[:1])["a study"]["status"] == "RUNNING"
    runs = show([*(before if at_once else []), *after, SweepEnded(time=BEGIN + 90_000)])
    assert {name: run["status"] for name, run in runs.items()} == {"a study": "FINISHED", "learned-000": "FINISHED"}
    assert [step for step, _, _ in runs["learned-000"]["curves"]["train_loss"]] == list(range(1, EPOCHS + 1))
    assert not any("reason" in run["tags"] for run in runs.values())


def test_a_curve_has_one_point_a_step_though_a_restart_and_the_end_tell_them_again(
    show: Show, log_folder: Path, store: str
) -> None:
    first, _, *points, _ = trial_events(0)
    assert all(isinstance(point, EpochMetrics) for point in points)
    show([first, *points[:3]])
    again = [replace(point, time=point.time + 9) for point in points if isinstance(point, EpochMetrics)]
    final = dict(again[-1].metrics)
    runs = show([first, *again, TrialEnded(trial=0, state="complete", metrics=final, step=EPOCHS, time=BEGIN + 99_000)])
    curve = runs["learned-000"]["curves"]["val_accuracy"]
    assert [step for step, _, _ in curve] == list(range(1, EPOCHS + 1))
    assert [time for _, _, time in curve[:3]] == [point.time for point in points[:3]]
    send(log_folder, store, rebuild=True)
    assert shown(store) == runs


def test_what_the_server_refuses_is_named_and_the_rest_arrives(show: Show, log_folder: Path, store: str) -> None:
    runs = show(
        [
            SweepStarted(name="a study"),
            TrialStarted(trial=0, name="one", params={"fine": 1, "not a valid name?!": 2}),
            EpochMetrics(trial=0, step=1, metrics={"loss": 1.0, "x" * 600: 2.0, "accuracy": 0.5}),
            TrialEnded(trial=0, state="complete", artifacts=("gone.npz",)),
        ]
    )
    assert runs["one"]["params"] == {"fine": "1"}
    assert set(runs["one"]["curves"]) == {"loss", "accuracy"}
    assert runs["one"]["status"] == "FINISHED"
    log = log_of(log_folder)
    assert log.count("skipped ") == 3
    assert "not a valid name?!=2" in log
    assert "gone.npz" in log
    runs = show([TrialStarted(trial=0, name="one", params={"fine": 3, "added": 2})])
    assert runs["one"]["params"] == {"fine": "1", "added": "2"}, "MLflow's parameters cannot change"
    assert "skipped fine=3" in log_of(log_folder)
    assert Cursor.load(log_folder, store).skipped == 4


def test_an_event_of_a_trial_whose_start_was_lost_still_has_a_run(show: Show) -> None:
    runs = show(list(trial_events(4))[1:])
    assert runs["trial 4"]["status"] == "KILLED"
    assert runs["trial 4"]["parent"] == "a study"


def test_a_run_deleted_by_hand_stays_deleted_until_a_rebuild(show: Show, store: str, log_folder: Path) -> None:
    show(sweep_events(1))
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("a study").experiment_id
    (deleted,) = client.search_runs([experiment], "tags.trial = '0'")
    client.delete_run(deleted.info.run_id)

    write_events(log_folder, [EpochMetrics(trial=0, step=9, metrics={"train_loss": 1.0})])
    send(log_folder, store)
    assert client.search_runs([experiment], "tags.trial = '0'") == []
    assert f"of run {deleted.info.run_id}: " in log_of(log_folder)

    send(log_folder, store, rebuild=True)
    (revived,) = client.search_runs([experiment], "tags.trial = '0'")
    assert len(client.get_metric_history(revived.info.run_id, "train_loss")) == EPOCHS + 1


def test_a_server_that_lost_the_runs_gets_everything_again(
    show: Show, store: str, log_folder: Path, empty_database: Path, runs: Path
) -> None:
    before = show(sweep_events(2))
    (runs / "mlflow.db").write_bytes(empty_database.read_bytes())
    write_events(log_folder, trial_events(5))
    send(log_folder, store)
    after = shown(store)
    assert {name: after[name] for name in before} == before
    assert "sending everything again" in log_of(log_folder)


def test_two_sweeps_of_one_study_share_an_experiment_and_no_run(runs: Path, store: str) -> None:
    for name, trial in (("first", 0), ("second", 1)):
        started = SweepStarted(name=name, tags={"study": "a study"}, time=BEGIN)
        send(write_events(runs / name / "spool", [started, *trial_events(trial)]), store)
    shows = shown(store)
    assert {name: run["parent"] for name, run in shows.items()} == {
        "first": None,
        "second": None,
        "learned-000": "first",
        "learned-001": "second",
    }
    assert {run["tags"]["sweep"] for run in shows.values()} == {"first", "second"}
    assert {run["tags"]["study"] for run in shows.values()} == {"a study"}
