"""What a server shows of a sweep is what its events say, however often they are sent."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from harness.tracking.mlflow_view.writer_process import EventSender
from harness.tracking.spool.cursor import Cursor
from harness.tracking.spool.event_log import EventLog
from harness.tracking.spool.events import (
    ArtifactsAdded,
    EpochMetrics,
    Event,
    SweepEnded,
    SweepPaused,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)
from harness.tracking.spool.writer_log import FILE as LOG
from harness.tracking.spool.writer_log import line_logger
from tests.tracking.sweeps import BEGIN, EPOCHS, shown, sweep_events, trial_events, write_events

Tell = Callable[[Iterable[Event]], dict[str, dict[str, Any]]]


@pytest.fixture
def tell(log_folder: Path, store: str) -> Tell:
    """Appends events, sends them by a writer that starts anew, and gives what the server shows then."""

    def tell(events: Iterable[Event]) -> dict[str, dict[str, Any]]:
        write_events(log_folder, iter(events))
        send(log_folder, store)
        return shown(store)

    return tell


def send(folder: Path, uri: str, rebuild: bool = False) -> EventSender:
    writer = EventSender(folder, uri, line_logger(folder), rebuild)
    while writer.send():
        pass
    return writer


def log_of(folder: Path) -> str:
    return (folder / LOG).read_text() if (folder / LOG).exists() else ""


def test_a_sweep_is_a_parent_run_and_each_trial_a_child(tell: Tell) -> None:
    runs = tell(sweep_events(3))
    assert {name: run["parent"] for name, run in runs.items()} == {
        "a study": None,
        "learned-000": "a study",
        "learned-001": "a study",
        "learned-002": "a study",
    }


def test_each_end_has_its_status_and_its_reason(tell: Tell) -> None:
    runs = tell(sweep_events(3))
    assert {name: run["status"] for name, run in runs.items()} == {
        "a study": "FINISHED",
        "learned-000": "FINISHED",
        "learned-001": "KILLED",
        "learned-002": "FAILED",
    }
    assert runs["learned-002"]["tags"]["reason"] == "diverged"
    assert runs["learned-001"]["tags"]["state"] == "pruned"


def test_a_run_carries_its_parameters_tags_and_times(tell: Tell) -> None:
    run = tell(sweep_events(2))["learned-001"]
    assert run["params"] == {
        "label_lr": "0.2",
        "meta_interval": "2",
        "method": "learned",
        "train_on_meta": "False",
    }
    tags = run["tags"]
    assert (tags["arm"], tags["study"], tags["trial"], tags["harness.kind"]) == ("learned", "a study", "1", "trial")
    assert (run["start_time"], run["end_time"]) == (BEGIN + 60_000, BEGIN + 60_000 + 1000 * (EPOCHS + 1))


def test_the_data_that_runs_saw_are_their_inputs_and_the_sweep_has_each_once(tell: Tell) -> None:
    runs = tell(sweep_events(3))
    toy = ("toy", "data/toy", '{"images": 7}')

    def parts(*of: int) -> list[tuple[str, ...]]:
        name, source, profile = toy
        return [(c, name, f"{c}-{n}", source, profile) for c in ("train", "validation") for n in of]

    assert runs["learned-000"]["data"] == runs["learned-002"]["data"] == parts(0)
    assert runs["learned-001"]["data"] == parts(1)
    assert runs["a study"]["data"] == parts(0, 1)


def test_data_sets_take_one_call_a_run(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = MlflowClient.log_inputs

    def counted(self: MlflowClient, run_id: str, datasets: Any) -> None:
        calls.append(run_id)
        original(self, run_id, datasets=datasets)

    monkeypatch.setattr(MlflowClient, "log_inputs", counted)
    tell(sweep_events(6))
    assert len(calls) == 7


def test_a_curve_has_a_point_an_epoch(tell: Tell) -> None:
    curve = tell(sweep_events(1))["learned-000"]["curves"]["train_loss"]
    assert curve == [(epoch, 2.0 / epoch, BEGIN + 1000 * epoch) for epoch in range(1, EPOCHS + 1)]


def test_a_value_that_is_no_number_is_a_tag_and_the_rest_of_the_curve_stands(tell: Tell) -> None:
    run = tell(sweep_events(3))["learned-002"]
    assert run["tags"]["nonfinite.train_loss"] == f"nan at step {EPOCHS}"
    assert len(run["curves"]["train_loss"]) == EPOCHS - 1
    assert all(math.isfinite(value) for _, value, _ in run["curves"]["train_loss"])


def test_files_are_on_their_runs(tell: Tell, log_folder: Path) -> None:
    home = log_folder.parent
    home.mkdir(parents=True)
    for name in ("space.yaml", "labels.npz"):
        (home / name).write_text(name)
    runs = tell(
        [
            SweepStarted(name="a study", artifacts=(str(home / "space.yaml"),)),
            TrialStarted(trial=0, name="learned-000"),
            TrialEnded(trial=0, state="complete", artifacts=(str(home / "labels.npz"),)),
        ]
    )
    assert runs["a study"]["files"] == ["space.yaml"]
    assert runs["learned-000"]["files"] == ["labels.npz"]


def test_a_folder_that_a_trial_leaves_later_is_on_its_run(tell: Tell, log_folder: Path, store: str) -> None:
    model = log_folder.parent / "trials" / "0" / "model"
    model.mkdir(parents=True)
    for name in ("MLmodel", "weights"):
        (model / name).write_text(name)
    tell([*trial_events(0), ArtifactsAdded(trial=0, artifacts=(str(model),))])
    client = MlflowClient(store)
    (run,) = client.search_runs(["1"], "tags.trial = '0'")
    assert sorted(file.path for file in client.list_artifacts(run.info.run_id, "model")) == [
        "model/MLmodel",
        "model/weights",
    ]
    assert run.info.status == "FINISHED"


def test_the_files_of_a_local_store_lie_in_the_runs_folder(tell: Tell, store: str, runs: Path) -> None:
    tell(sweep_events(1))
    experiment = MlflowClient(store).get_experiment_by_name("a study")
    assert experiment.artifact_location == (runs / "mlartifacts").as_uri() + "/a%20study"


def test_sending_everything_again_changes_nothing(tell: Tell, log_folder: Path, store: str) -> None:
    before = tell(sweep_events(3))
    for cursor in log_folder.glob("cursor-*.json"):
        cursor.unlink()
    send(log_folder, store)
    assert shown(store) == before


def test_any_cut_into_batches_shows_the_same(
    log_folder: Path, store: str, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    monkeypatch.setattr("harness.tracking.mlflow_view.writer_process.BATCH", 4)
    in_small_batches = tell(sweep_events(3))
    for cursor in log_folder.glob("cursor-*.json"):
        cursor.unlink()
    monkeypatch.setattr("harness.tracking.mlflow_view.writer_process.BATCH", 2000)
    send(log_folder, store)
    assert shown(store) == in_small_batches


def test_values_go_in_batches_never_one_a_call(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(self: MlflowClient, run_id: str, **entities: Any) -> Any:
        calls.append(sum(map(len, entities.values())))
        return log_batch(self, run_id, **entities)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    tell(sweep_events(4))
    assert len(calls) == 5, "one for the sweep and one for each trial"


def test_more_values_than_one_call_may_hold_all_arrive(tell: Tell) -> None:
    params = {f"p{i:03d}": i for i in range(250)}
    tags = {f"t{i:03d}": str(i) for i in range(150)}
    curve = [EpochMetrics(trial=0, step=s, metrics={"a": s / 7, "b": -s}, time=BEGIN + s) for s in range(1, 1200)]
    run = tell([TrialStarted(trial=0, name="long", params=params, tags=tags, time=BEGIN), *curve])["long"]
    assert run["params"] == {key: str(value) for key, value in params.items()}
    assert tags.items() <= run["tags"].items()
    assert [step for step, _, _ in run["curves"]["a"]] == list(range(1, 1200))
    assert [value for _, value, _ in run["curves"]["b"]] == [-s for s in range(1, 1200)]


def test_a_trial_taken_up_again_goes_on_in_its_own_run(tell: Tell) -> None:
    first, *rest = trial_events(0)
    tell([SweepStarted(name="a study", time=BEGIN), first, *rest[:2], SweepPaused(time=BEGIN + 9)])
    again = [SweepStarted(name="a study", time=BEGIN + 10), first, *rest[2:], SweepEnded(time=BEGIN + 90_000)]
    runs = tell(again)
    assert set(runs) == {"a study", "learned-000"}
    assert runs["learned-000"]["status"] == "FINISHED"
    assert [step for step, _, _ in runs["learned-000"]["curves"]["train_loss"]] == list(range(1, EPOCHS + 1))


def test_a_curve_has_one_point_a_step_though_a_restart_and_the_end_tell_them_again(tell: Tell) -> None:
    first, _, *points, _ = trial_events(0)
    assert all(isinstance(point, EpochMetrics) for point in points)
    tell([first, *points[:3]])
    again = [replace(point, time=point.time + 9) for point in points if isinstance(point, EpochMetrics)]
    final = dict(again[-1].metrics)
    runs = tell([first, *again, TrialEnded(trial=0, state="complete", metrics=final, step=EPOCHS, time=BEGIN + 99_000)])
    curve = runs["learned-000"]["curves"]["val_accuracy"]
    assert [step for step, _, _ in curve] == list(range(1, EPOCHS + 1))
    assert [time for _, _, time in curve[:3]] == [point.time for point in points[:3]]


def test_a_paused_sweep_and_its_open_trials_are_killed_and_run_again_when_it_goes_on(tell: Tell) -> None:
    opening = [SweepStarted(name="a study", time=BEGIN), *list(trial_events(0))[:3]]
    runs = tell([*opening, SweepPaused(reason="interrupted by hand", time=BEGIN + 5000)])
    assert {run["status"] for run in runs.values()} == {"KILLED"}
    assert {run["tags"]["state"] for run in runs.values()} == {"interrupted"}
    assert runs["a study"]["tags"]["reason"] == "interrupted by hand"

    runs = tell(opening)
    assert {run["status"] for run in runs.values()} == {"RUNNING"}
    assert "reason" not in runs["a study"]["tags"]


def test_a_sweep_that_went_on_has_no_reason_to_have_ended_also_when_all_is_sent_at_once(tell: Tell) -> None:
    first, *rest = trial_events(0)
    pause = [SweepStarted(name="a study", time=BEGIN), first, SweepPaused(time=BEGIN + 1)]
    runs = tell([*pause, SweepStarted(name="a study", time=BEGIN + 2), first, *rest, SweepEnded(time=BEGIN + 99_000)])
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    assert not any("reason" in run["tags"] for run in runs.values())


def test_a_parameter_that_changed_keeps_its_first_value_and_is_named_in_the_log(tell: Tell, log_folder: Path) -> None:
    tell([SweepStarted(name="a study", params={"trials": 24, "seed": 1})])
    runs = tell([SweepStarted(name="a study", params={"trials": 60, "seed": 1, "added": 2})])
    assert runs["a study"]["params"] == {"trials": "24", "seed": "1", "added": "2"}
    assert "skipped trials=60" in log_of(log_folder)


def test_what_the_server_refuses_is_named_and_the_rest_arrives(tell: Tell, log_folder: Path, store: str) -> None:
    runs = tell(
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
    assert Cursor.load(log_folder, store).skipped == 3


def test_a_record_of_a_trial_whose_start_was_lost_still_has_a_run(tell: Tell) -> None:
    runs = tell(list(trial_events(4))[1:])
    assert runs["trial 4"]["status"] == "KILLED"
    assert runs["trial 4"]["parent"] == "a study"


def test_a_run_deleted_by_hand_stays_deleted_until_a_rebuild(tell: Tell, store: str, log_folder: Path) -> None:
    tell(sweep_events(1))
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("a study").experiment_id
    (deleted,) = client.search_runs([experiment], "tags.trial = '0'")
    client.delete_run(deleted.info.run_id)

    write_events(log_folder, iter([EpochMetrics(trial=0, step=9, metrics={"train_loss": 1.0})]))
    send(log_folder, store)
    assert client.search_runs([experiment], "tags.trial = '0'") == []
    assert "deleted by hand" in log_of(log_folder)

    for cursor in log_folder.glob("cursor-*.json"):
        cursor.unlink()
    send(log_folder, store, rebuild=True)
    (revived,) = client.search_runs([experiment], "tags.trial = '0'")
    assert len(client.get_metric_history(revived.info.run_id, "train_loss")) == EPOCHS + 1


def test_a_server_that_lost_the_runs_gets_everything_again(
    tell: Tell, store: str, log_folder: Path, empty_database: Path, runs: Path
) -> None:
    before = tell(sweep_events(2))
    (runs / "mlflow.db").write_bytes(empty_database.read_bytes())
    write_events(log_folder, trial_events(5))
    send(log_folder, store)
    after = shown(store)
    assert {name: after[name] for name in before} == before
    assert "sending everything again" in log_of(log_folder)


def test_two_sweeps_of_one_study_share_an_experiment_and_no_run(runs: Path, store: str) -> None:
    for name, trial in (("first", 0), ("second", 1)):
        with EventLog(runs / name / "spool") as log:
            log.append(SweepStarted(name=name, tags={"study": "a study"}, time=BEGIN))
            for each in trial_events(trial):
                log.append(each)
        send(runs / name / "spool", store)
    shows = shown(store)
    assert {name: run["parent"] for name, run in shows.items()} == {
        "first": None,
        "second": None,
        "learned-000": "first",
        "learned-001": "second",
    }
    assert {run["tags"]["sweep"] for run in shows.values()} == {"first", "second"}
    assert {run["tags"]["study"] for run in shows.values()} == {"a study"}


def test_every_limit_of_a_call_is_the_servers_own() -> None:
    from mlflow.utils import validation

    from harness.tracking.mlflow_view import mlflow_writer

    assert mlflow_writer.TAGS_PER_CALL <= validation.MAX_PARAMS_TAGS_PER_BATCH
    assert mlflow_writer.METRICS_PER_CALL <= validation.MAX_METRICS_PER_BATCH
    assert mlflow_writer.METRICS_PER_CALL + 2 * mlflow_writer.TAGS_PER_CALL <= validation.MAX_ENTITIES_PER_BATCH
