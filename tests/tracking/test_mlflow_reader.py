"""A sweep read back from MLflow is the sweep that was recorded."""

from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from harness.tracking.mlflow_view import mlflow_reader
from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from harness.tracking.spool.event_log import EventLog
from harness.tracking.spool.events import SweepEnded, SweepStarted
from harness.tracking.tracking_uri import TrackingError
from tests.tracking.sweeps import BEGIN, EPOCHS, send, sweep_events, write_events


@pytest.fixture
def sent(log_folder: Path, store: str) -> str:
    send(write_events(log_folder, sweep_events(4)), store)
    return store


def test_trials_are_rows_with_typed_parameters(sent: str) -> None:
    trials = MlflowReader(sent).sweep("a study").trials()
    assert list(trials["trial"]) == [0, 1, 2, 3]
    assert list(trials["state"]) == ["complete", "pruned", "failed", "complete"]
    assert list(trials["reason"]) == ["", "", "diverged", ""]
    assert list(trials["params.label_lr"]) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert trials["params.meta_interval"].dtype.kind == "i"
    assert trials["params.train_on_meta"].dtype == bool
    assert set(trials["params.method"]) == {"learned"}
    assert list(trials["seconds"]) == [EPOCHS + 1.0] * 4


def test_final_values_are_those_of_the_last_epoch(sent: str) -> None:
    trials = MlflowReader(sent).sweep().trials()
    assert list(trials["metrics.val_accuracy"]) == [EPOCHS / (EPOCHS + trial + 1) for trial in range(4)]


def test_curves_have_every_point_of_every_trial(sent: str) -> None:
    curves = MlflowReader(sent).sweep().curves(["val_accuracy"])
    expected = [
        (trial, "val_accuracy", epoch, epoch / (EPOCHS + trial + 1))
        for trial in range(4)
        for epoch in range(1, EPOCHS + 1)
    ]
    pd.testing.assert_frame_equal(curves, pd.DataFrame(expected, columns=["trial", "metric", "step", "value"]))


def test_curves_of_chosen_trials_alone(sent: str) -> None:
    sweep = MlflowReader(sent).sweep()
    trials = sweep.trials()
    assert set(sweep.curves(["train_loss"], trials[trials["state"] == "complete"])["trial"]) == {0, 3}


def test_curves_are_the_same_run_by_run_as_in_bulk(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = MlflowReader(sent).sweep()
    in_bulk = sweep.curves(["val_accuracy", "train_loss"])
    monkeypatch.setattr(mlflow_reader, "POINT_LIMIT", 7)  # as if each answer were cut short
    pd.testing.assert_frame_equal(sweep.curves(["val_accuracy", "train_loss"]), in_bulk)


def test_curves_take_one_call_a_metric_not_one_a_run(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("one call a run")

    monkeypatch.setattr(MlflowClient, "get_metric_history", refuse)
    assert len(MlflowReader(sent).sweep().curves(["val_accuracy"])) == 4 * EPOCHS


def test_the_newest_sweep_of_a_study_is_taken(runs: Path, store: str) -> None:
    for name, time in (("old", BEGIN), ("new", BEGIN + 9)):
        with EventLog(runs / name / "spool") as log:
            log.append(SweepStarted(name="a study", tags={"which": name}, time=time))
        send(runs / name / "spool", store)
    server = MlflowReader(store)
    assert server.sweep("a study").tags["which"] == "new"
    assert [sweep.tags["which"] for sweep in server.sweeps()] == ["new", "old"]
    old = server.sweeps()[1]
    assert server.sweep(old.run_id).tags["which"] == "old"


def test_an_unknown_study_is_refused_with_the_nearest_names(sent: str) -> None:
    with pytest.raises(TrackingError, match=r"got 'a stuby'; did you mean a study\?"):
        MlflowReader(sent).sweep("a stuby")


def test_a_server_without_sweeps_is_told(store: str) -> None:
    MlflowClient(store).create_experiment("somebody else's")
    with pytest.raises(TrackingError, match=r"expected a sweep on .*, found none"):
        MlflowReader(store).sweep()


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="found no such file; run a sweep first"):
        MlflowReader(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_without_trials_is_an_empty_frame(log_folder: Path, store: str) -> None:
    send(write_events(log_folder, iter([SweepStarted(name="a study", time=BEGIN), SweepEnded(time=BEGIN)])), store)
    sweep = MlflowReader(store).sweep()
    assert sweep.trials().empty
    assert sweep.curves(["val_accuracy"]).empty


def test_a_file_of_the_sweep_is_fetched(log_folder: Path, store: str, tmp_path: Path) -> None:
    log_folder.mkdir(parents=True)
    space = log_folder.parent / "space.yaml"
    space.write_text("label_lr: 0.1\n")
    send(write_events(log_folder, iter([SweepStarted(name="a study", artifacts=(str(space),))])), store)
    sweep = MlflowReader(store).sweep()
    assert sweep.artifact("space.yaml", tmp_path).read_text() == "label_lr: 0.1\n"
    with pytest.raises(TrackingError, match=r"expected a file 'labels\.npz'"):
        sweep.artifact("labels.npz", tmp_path)


@pytest.mark.slow
def test_over_http_a_sweep_reads_the_same(sent: str, log_folder: Path, server: str) -> None:
    send(log_folder, server)
    here = MlflowReader(sent).sweep("a study")
    there = next(
        sweep for sweep in MlflowReader(server).sweeps() if sweep.tags["harness.sweep"] == here.tags["harness.sweep"]
    )
    pd.testing.assert_frame_equal(there.trials().drop(columns="run_id"), here.trials().drop(columns="run_id"))
    metrics = ["val_accuracy", "train_loss"]
    pd.testing.assert_frame_equal(there.curves(metrics), here.curves(metrics))
