"""A sweep read from its spool is the sweep that a server would tell."""

from pathlib import Path

import pandas as pd
import pytest

from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from harness.tracking.spool.event_log import EventLog, EventLogError
from harness.tracking.spool.events import SweepStarted, TrialEnded, TrialStarted
from harness.tracking.spool.spooled_sweep import SpooledSweep
from harness.tracking.tracking_uri import TrackingError
from tests.tracking.sweeps import EPOCHS, send, sweep_events, write_events


@pytest.fixture
def folder(log_folder: Path) -> Path:
    return write_events(log_folder, sweep_events(4)).parent


def test_trials_and_curves_are_those_that_the_server_gives(folder: Path, store: str) -> None:
    send(folder / "spool", store)
    told, recorded = MlflowReader(store).sweep(), SpooledSweep.read(folder)
    ours, theirs = recorded.trials(), told.trials()
    assert set(theirs.columns) == set(ours.columns)
    pd.testing.assert_frame_equal(
        ours[theirs.columns].drop(columns="run_id"), theirs.drop(columns="run_id"), check_dtype=False
    )
    metrics = ["val_accuracy", "train_loss"]
    pd.testing.assert_frame_equal(recorded.curves(metrics), told.curves(metrics))
    assert (recorded.study, recorded.state, recorded.started) == (told.study, told.state, told.started)


def test_curves_of_chosen_trials_alone(folder: Path) -> None:
    recorded = SpooledSweep.read(folder)
    trials = recorded.trials()
    chosen = recorded.curves(["val_accuracy"], trials[trials["state"] == "complete"])
    assert set(chosen["trial"]) == {0, 3}
    assert list(chosen[chosen["trial"] == 0]["step"]) == list(range(1, EPOCHS + 1))


def test_runs_of_a_confirmation_are_no_trials_of_the_search(folder: Path) -> None:
    with EventLog(folder / "spool") as log:
        log.append(TrialStarted(trial=1_000_000, name="learned-0 seed 1", tags={"harness.kind": "confirmation"}))
        log.append(TrialEnded(trial=1_000_000, state="complete", metrics={"test_accuracy": 0.9}))
    recorded = SpooledSweep.read(folder)
    assert list(recorded.trials()["trial"]) == [0, 1, 2, 3]
    assert list(recorded.trials("confirmation")["metrics.test_accuracy"]) == [0.9]


def test_a_trial_whose_start_was_lost_is_left_out(folder: Path) -> None:
    with EventLog(folder / "spool") as log:
        log.append(TrialEnded(trial=9, state="complete", metrics={"val_accuracy": 0.9}))
    assert list(SpooledSweep.read(folder).trials()["trial"]) == [0, 1, 2, 3]


def test_files_are_found_where_they_lie_and_a_missing_one_is_told(folder: Path) -> None:
    file, own = folder / "trials" / "9" / "labels.npz", folder / "space.yaml"
    file.parent.mkdir(parents=True)
    for each in (file, own):
        each.write_text("content")
    with EventLog(folder / "spool") as log:
        log.append(SweepStarted(name="a study", tags={}, artifacts=(str(own),)))
        log.append(TrialStarted(trial=9, name="learned-9"))
        log.append(TrialEnded(trial=9, state="complete", artifacts=(str(file),)))
    recorded = SpooledSweep.read(folder)
    run = recorded.trials().set_index("trial").loc[9, "run_id"]
    assert recorded.artifact("labels.npz", folder, str(run)) == file
    assert recorded.artifact("space.yaml", folder) == own
    for name, of in (("confirm.json", None), ("label_history.npz", str(run))):
        with pytest.raises(TrackingError, match=f"expected a file '{name}'"):
            recorded.artifact(name, folder, of)
    file.unlink()
    with pytest.raises(TrackingError, match="found none"):
        recorded.artifact("labels.npz", folder, str(run))


def test_a_folder_without_records_is_told(tmp_path: Path) -> None:
    with pytest.raises(EventLogError, match="expected the event log of a sweep"):
        SpooledSweep.read(tmp_path)
