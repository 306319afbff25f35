"""A sweep read back from MLflow, or from its event log, is the sweep that was recorded."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from harness.tracking.mlflow_view.mlflow_reader import MlflowReader, MlflowSweep
from harness.tracking.spool.event_log import EventLogError
from harness.tracking.spool.events import SweepEnded, SweepStarted, TrialEnded, TrialStarted
from harness.tracking.spool.spooled_sweep import SpooledSweep
from harness.tracking.tracking_uri import TrackingError
from tests.tracking.sweeps import BEGIN, EPOCHS, send, sweep_events, write_events

Read = Callable[[], MlflowSweep | SpooledSweep]


@pytest.fixture(params=["mlflow", "event log"])
def read(request: pytest.FixtureRequest, log_folder: Path, store: str) -> Read:
    """Read the sweep of `log_folder` back, from the server or from its event log."""
    if request.param == "event log":
        return lambda: SpooledSweep.read(log_folder.parent)

    def read() -> MlflowSweep:
        send(log_folder, store)
        return MlflowReader(store).sweep()

    return read


@pytest.fixture
def recorded(log_folder: Path) -> Path:
    return write_events(log_folder, sweep_events(4))


@pytest.fixture
def sent(recorded: Path, store: str) -> str:
    send(recorded, store)
    return store


def test_trials_are_rows_with_typed_parameters_and_the_values_of_the_last_epoch(recorded: Path, read: Read) -> None:
    trials = read().trials()
    assert list(trials["trial"]) == [0, 1, 2, 3]
    assert list(trials["state"]) == ["complete", "pruned", "failed", "complete"]
    assert list(trials["reason"]) == ["", "", "diverged", ""]
    assert list(trials["params.label_lr"]) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert trials["params.meta_interval"].dtype.kind == "i"
    assert trials["params.train_on_meta"].dtype == bool
    assert set(trials["params.method"]) == {"learned"}
    assert list(trials["seconds"]) == [EPOCHS + 1.0] * 4
    assert list(trials["metrics.val_accuracy"]) == [EPOCHS / (EPOCHS + trial + 1) for trial in range(4)]


def test_curves_have_every_point_of_the_chosen_trials(recorded: Path, read: Read) -> None:
    sweep = read()
    trials = sweep.trials()
    for chosen, numbers in ((None, range(4)), (trials[trials["state"] == "complete"], (0, 3))):
        expected = [
            (trial, "val_accuracy", epoch, epoch / (EPOCHS + trial + 1))
            for trial in numbers
            for epoch in range(1, EPOCHS + 1)
        ]
        curves = sweep.curves(["val_accuracy"], chosen)
        pd.testing.assert_frame_equal(curves, pd.DataFrame(expected, columns=["trial", "metric", "step", "value"]))


def test_both_ways_give_the_same_frames(sent: str, recorded: Path) -> None:
    there, here = MlflowReader(sent).sweep(), SpooledSweep.read(recorded.parent)
    ours, theirs = here.trials(), there.trials()
    assert set(theirs.columns) == set(ours.columns)
    ours = ours[theirs.columns].drop(columns="run_id")
    pd.testing.assert_frame_equal(ours, theirs.drop(columns="run_id"), check_dtype=False)
    metrics = ["val_accuracy", "train_loss"]
    pd.testing.assert_frame_equal(here.curves(metrics), there.curves(metrics))
    assert (here.study, here.state, here.started) == (there.study, there.state, there.started)


def test_runs_of_a_confirmation_are_no_trials_of_the_search_and_a_start_must_be_known(
    recorded: Path, log_folder: Path
) -> None:
    started = TrialStarted(trial=1_000_000, name="learned-0 seed 1", tags={"harness.kind": "confirmation"})
    ended = TrialEnded(trial=1_000_000, state="complete", metrics={"test_accuracy": 0.9})
    lost_start = TrialEnded(trial=9, state="complete", metrics={"val_accuracy": 0.9})
    write_events(log_folder, [started, ended, lost_start])
    sweep = SpooledSweep.read(log_folder.parent)
    assert list(sweep.trials()["trial"]) == [0, 1, 2, 3]
    assert list(sweep.trials("confirmation")["metrics.test_accuracy"]) == [0.9]


def test_a_sweep_without_trials_is_an_empty_frame(log_folder: Path, read: Read) -> None:
    write_events(log_folder, [SweepStarted(name="a study", time=BEGIN), SweepEnded(time=BEGIN)])
    sweep = read()
    assert sweep.trials().empty
    assert sweep.curves(["val_accuracy"]).empty


def test_files_are_found_and_a_missing_one_is_reported(recorded: Path, read: Read, tmp_path: Path) -> None:
    home = recorded.parent
    labels, space = home / "trials" / "9" / "labels.npz", home / "space.yaml"
    labels.parent.mkdir(parents=True)
    labels.write_text("labels")
    space.write_text("label_lr: 0.1\n")
    ended = TrialEnded(trial=9, state="complete", artifacts=(str(labels),))
    again = SweepStarted(name="a study", artifacts=(str(space),))
    write_events(recorded, [again, TrialStarted(trial=9, name="learned-9"), ended])
    sweep = read()
    run_id = str(sweep.trials().set_index("trial").loc[9, "run_id"])
    assert sweep.artifact("labels.npz", tmp_path, run_id).read_text() == "labels"
    assert sweep.artifact("space.yaml", tmp_path).read_text() == "label_lr: 0.1\n"
    for name, run in (("confirm.json", None), ("label_history.npz", run_id)):
        with pytest.raises(TrackingError, match=f"expected a file '{name}'"):
            sweep.artifact(name, tmp_path, run)


def test_the_newest_sweep_of_a_study_is_taken(runs: Path, store: str) -> None:
    for name, time in (("old", BEGIN), ("new", BEGIN + 9)):
        started = SweepStarted(name="a study", tags={"which": name}, time=time)
        send(write_events(runs / name / "spool", [started]), store)
    reader = MlflowReader(store)
    assert reader.sweep("a study").tags["which"] == "new"
    assert [sweep.tags["which"] for sweep in reader.sweeps()] == ["new", "old"]
    assert reader.sweep(reader.sweeps()[1].run_id).tags["which"] == "old"


def test_a_missing_sweep_is_reported_not_created(sent: str, recorded: Path, tmp_path: Path, other_store: str) -> None:
    with pytest.raises(TrackingError, match=r"got 'a stuby'; did you mean a study\?"):
        MlflowReader(sent).sweep("a stuby")
    MlflowClient(other_store).create_experiment("somebody else's")
    with pytest.raises(TrackingError, match=r"expected a sweep on .*, found none"):
        MlflowReader(other_store).sweep()
    with pytest.raises(TrackingError, match="found no such file; run a sweep first"):
        MlflowReader(f"sqlite:///{tmp_path / 'nowhere.db'}")
    assert not (tmp_path / "nowhere.db").exists()
    with pytest.raises(EventLogError, match="expected the event log of a sweep"):
        SpooledSweep.read(tmp_path)


@pytest.mark.slow
def test_over_http_a_sweep_reads_the_same(sent: str, log_folder: Path, server: str) -> None:
    send(log_folder, server)
    here = MlflowReader(sent).sweep("a study")
    identity = here.tags["harness.sweep"]
    there = next(sweep for sweep in MlflowReader(server).sweeps() if sweep.tags["harness.sweep"] == identity)
    pd.testing.assert_frame_equal(there.trials().drop(columns="run_id"), here.trials().drop(columns="run_id"))
    metrics = ["val_accuracy", "train_loss"]
    pd.testing.assert_frame_equal(there.curves(metrics), here.curves(metrics))
