"""The driver is killed or interrupted, a worker is killed, a checkpoint is damaged: the same command continues."""

import json
import random
import signal
from pathlib import Path

import numpy as np
import pytest

from harness.tracking.spool import event_log
from harness.tracking.spool.events import TrialWarning
from tests.conftest import finish, run, start
from tests.faults.conftest import EPOCHS, LONG
from tests.support.fork_server import fork_server
from tests.support.kills import ended, wait_for_file, workers
from tests.support.trial_records import comparable_trials, trial_records


def states(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "summary.json").read_text())["states"]
    return found


def logged_steps(runs: Path) -> dict[int, list[int]]:
    """Steps of each trial's curve in MLflow, in the order of the server; a step logged twice is there twice."""
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    curves = MlflowReader(f"sqlite:///{runs}/mlflow.db").sweep("label_lr").curves(["val_accuracy"])
    steps: dict[int, list[int]] = curves.groupby("trial")["step"].agg(list).to_dict()
    return steps


@pytest.mark.slow
def test_kills_of_the_driver_at_random_moments_change_nothing(
    tmp_path: Path, ray_address: str, pytestconfig: pytest.Config
) -> None:
    """One trial at a time, so that the pruner compares each trial with the same others: both sweeps end the same."""
    kills: int = pytestconfig.getoption("--kills")
    fixed = ("--space", "label_lr.yaml", "--set", "epochs=25", "--set", "width=32", "--set", "search.sampler=random")
    fixed += ("--trials", str(max(6, kills // 2)), "--concurrency", "1", "--address", ray_address)
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert run("harness.search", *fixed, "--runs-dir", str(undisturbed)).code == 0
    moments = random.Random(50)
    ends = []
    for _ in range(kills):
        driver = fork_server().start("harness.search", [*fixed, "--runs-dir", str(killed)])
        if driver.wait(moments.uniform(0.2, 3)) is None:
            driver.kill()
        ends.append(driver.returncode)
    assert set(ends) <= {0, -9}
    assert ends.count(-9) >= 0.8 * kills, "the sweep ended too early to be killed"
    last = run("harness.search", *fixed, "--runs-dir", str(killed))
    assert last.code == 0, last.all

    assert comparable_trials(killed / "label_lr") == comparable_trials(undisturbed / "label_lr")
    trials = trial_records(killed / "label_lr")
    assert {trial.state for trial in trials} == {"complete", "pruned"}, "the pruner had something to decide"

    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    logged = MlflowReader(f"sqlite:///{killed}/mlflow.db").sweep("label_lr").trials().set_index("trial")["state"]
    assert logged.to_dict() == {trial.number: trial.state for trial in trials}
    assert logged_steps(killed) == {trial.number: sorted(trial.curve) for trial in trials}


def test_a_second_driver_is_refused_and_ctrl_c_keeps_what_the_same_command_continues(
    tmp_path: Path, ray_address: str
) -> None:
    command = ("--space", "label_lr.yaml", "--set", "epochs=250", "--set", "search.pruner=none", "--set", "width=64")
    command += ("--set", "baselines={}", "--trials", "4", "--address", ray_address, "--runs-dir", str(tmp_path))
    folder = tmp_path / "label_lr"
    with ended(start("harness.search", *command)) as first:
        wait_for_file(folder, "trials/*/labels.npz", first)
        second = run("harness.search", *command)
        assert second.code == 2
        assert f"process {first.pid} on " in second.err
        first.send_signal(signal.SIGINT)
        interrupted = finish(first, timeout=60)
    assert interrupted.code == 130, interrupted.all
    assert "go on:" in interrupted.out
    assert 1 <= states(folder)["complete"] < 4
    resumed = run("harness.search", *command)
    assert resumed.code == 0, resumed.all
    assert states(folder) == {"complete": 4, "pruned": 0, "failed": 0}


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_ends_as_an_undisturbed_one(
    tmp_path: Path, ray_address: str, undisturbed: Path
) -> None:
    command = (*LONG, "--trials", "1", "--address", ray_address, "--runs-dir", str(tmp_path))
    folder = tmp_path / "label_lr"
    with ended(start("harness.search", *command)) as process:
        wait_for_file(folder / "trials" / "0", "checkpoint.pt", process)
        (worker,) = workers(r"\w*Trainable")
        worker.kill()
        result = finish(process)
    assert result.code == 0, result.all
    assert comparable_trials(folder) == comparable_trials(undisturbed)[:1]
    for name in ("labels.npz", "label_history.npz"):
        expected, arrays = (np.load(each / "trials" / "0" / name) for each in (undisturbed, folder))
        assert sorted(arrays) == sorted(expected)
        assert all(np.array_equal(arrays[key], expected[key]) for key in arrays)
    assert {number: sorted(steps) for number, steps in logged_steps(tmp_path).items()} == {0: [*range(1, EPOCHS + 1)]}


@pytest.mark.slow
def test_a_sweep_continues_from_the_last_undamaged_checkpoint_with_a_warning(
    tmp_path: Path, ray_address: str, undisturbed: Path
) -> None:
    command = (*LONG, "--trials", "1", "--address", ray_address, "--runs-dir", str(tmp_path))
    folder = tmp_path / "label_lr"
    checkpoint = folder / "trials" / "0" / "checkpoint.pt"
    with ended(start("harness.search", *command)) as process:
        wait_for_file(checkpoint.parent, "checkpoint.previous.pt", process)
        process.terminate()
        assert finish(process).code == 130
    damaged = bytearray(checkpoint.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    checkpoint.write_bytes(damaged)
    result = run("harness.search", *command)
    assert result.code == 0, result.all
    records = [record for record, _ in event_log.read_events(folder / "spool")]
    (warning,) = [record.text for record in records if isinstance(record, TrialWarning)]
    assert warning.startswith(f"{checkpoint}: expected ")
    assert warning in result.out
    assert comparable_trials(folder) == comparable_trials(undisturbed)[:1]
    assert {number: sorted(steps) for number, steps in logged_steps(tmp_path).items()} == {0: [*range(1, EPOCHS + 1)]}
