"""`TrialRunner` without Ray: checkpoints, the files a trial leaves, and failures as results."""

import io
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.space import Resources
from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import load_summary
from harness.training.metrics import Metrics
from harness.training.replicates import Replicates
from harness.training.run import Run
from harness.tuning.worker import checkpoint, runner, time_limit
from harness.tuning.worker.runner import TrialRunner
from tests.training.recorded_graphs import RecordedCapture, recorded_on_the_cpu

CONFIG = RunConfig(noise="symmetric", noise_rate=0.4, width=8, epochs=6, train_size=200, label_lr=0.5).model_dump()
OFTEN = Resources(checkpoint_seconds=1e-9)
LABEL_FILES = ["label_history.npz", "labels.npz"]


@pytest.fixture(autouse=True)
def one_epoch_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 1e-4)


def run_to_end(trial: TrialRunner) -> TrialRunner:
    while not trial.finished:
        assert trial.run_chunk().failure == ""
    return trial


def file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def archive(file: Path) -> dict[str, bytes]:
    """The members of an npz file."""
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as members:
        return {name: members.read(name) for name in members.namelist()}


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """The folder of a trial whose worker was lost after the second epoch, with a checkpoint of each epoch."""
    trial = TrialRunner(CONFIG, tmp_path / "lost", resources=OFTEN)
    for _ in range(2):
        trial.run_chunk()
    return tmp_path / "lost"


def test_a_trial_that_goes_on_from_its_checkpoint_leaves_the_same_files_bit_for_bit(lost: Path, tmp_path: Path) -> None:
    run_to_end(TrialRunner(CONFIG, tmp_path / "undisturbed"))
    trial = TrialRunner(CONFIG, lost)
    assert trial.run is not None
    assert trial.run.epoch == 2
    run_to_end(trial)
    assert file_names(lost) == LABEL_FILES, "no checkpoint is left"
    for name in LABEL_FILES:
        assert archive(tmp_path / "undisturbed" / name) == archive(lost / name)


def test_labels_say_where_in_the_data_set_their_images_are(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    run_to_end(
        TrialRunner(RunConfig(**CONFIG).model_copy(update={"method": "one_hot", "epochs": 1}).model_dump(), tmp_path)
    )
    labels = np.load(tmp_path / "labels.npz")
    assert len(np.unique(labels["index"])) == 200
    np.testing.assert_array_equal(load_digits().target[labels["index"]], labels["truth"])
    assert file_names(tmp_path) == ["labels.npz"], "labels that never move have no history"


def test_a_trial_of_several_seeds_goes_on_whole_and_reports_all_epochs_again(tmp_path: Path) -> None:
    def curve(trial: TrialRunner) -> list[tuple[int, dict[str, float]]]:
        epochs: list[tuple[int, dict[str, float]]] = []
        while not trial.finished:
            epochs += trial.run_chunk().epochs
        return [(epoch, {**metrics, "seconds": 0}) for epoch, metrics in epochs]

    undisturbed = curve(TrialRunner(CONFIG, tmp_path / "undisturbed", seeds=2))
    assert [epoch for epoch, _ in undisturbed] == [1, 2, 3, 4, 5, 6]
    lost = TrialRunner(CONFIG, tmp_path / "lost", seeds=2, resources=OFTEN)
    for _ in range(3):
        lost.run_chunk()  # the driver is killed before it receives these
    assert curve(TrialRunner(CONFIG, tmp_path / "lost", seeds=2)) == undisturbed
    run_to_end(TrialRunner(CONFIG, tmp_path / "first"))
    for name in ("lost", "first"):
        assert archive(tmp_path / name / "labels.npz") == archive(tmp_path / "undisturbed" / "labels.npz")


def test_a_checkpoint_is_written_while_a_trial_on_a_gpu_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, now = threading.Event(), threading.Event(), checkpoint.save

    def slow(path: Path, state: dict[str, Any]) -> None:
        begun.set()
        assert go_on.wait(60)
        now(path, state)

    write = checkpoint.CheckpointWriter.save
    in_thread = lambda writer, state, **_: write(writer, state, in_thread=True)  # noqa: E731
    monkeypatch.setattr(checkpoint.CheckpointWriter, "save", in_thread)
    monkeypatch.setattr(checkpoint, "save", slow)
    trial = TrialRunner(CONFIG, tmp_path, resources=OFTEN)
    trial.run_chunk()
    assert begun.wait(60)
    assert file_names(tmp_path) == [], "the trial has ended its chunk before"
    go_on.set()
    trial.run_chunk()
    trial.cleanup()  # waits for the second
    assert resume(tmp_path) == (2, [])
    run_to_end(TrialRunner(CONFIG, tmp_path, resources=OFTEN))
    assert file_names(tmp_path) == LABEL_FILES, "no checkpoint is left"


def test_a_checkpoint_that_a_thread_cannot_write_stops_the_trial_at_the_next(tmp_path: Path) -> None:
    writer = checkpoint.CheckpointWriter(tmp_path / "missing" / "checkpoint.pt")
    (tmp_path / "missing").write_text("a file")
    writer.save({}, in_thread=True)
    with pytest.raises(OSError, match="missing"):
        writer.wait()
    writer.wait()


# Damaged checkpoints


def resume(folder: Path) -> tuple[int, list[str]]:
    """The epoch from which a trial goes on, and its warnings."""
    trial = TrialRunner(CONFIG, folder, resources=OFTEN)
    assert trial.run is not None
    epoch = trial.run.epoch
    report = trial.run_chunk()
    assert report.failure == ""
    assert [number for number, _ in report.epochs] == list(range(1, epoch + 2))
    assert trial.run_chunk().warnings == []
    return epoch, report.warnings


def flip_bit(file: Path, offset: int = 2000) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 1
    file.write_bytes(content)


def test_an_intact_checkpoint_is_read_without_a_warning_and_by_torch_as_well(lost: Path) -> None:
    assert torch.load(lost / "checkpoint.pt", weights_only=True)["version"] == checkpoint.VERSION
    assert resume(lost) == (2, [])


def test_a_flipped_bit_anywhere_in_a_checkpoint_is_noticed(lost: Path) -> None:
    """Every 97th byte of about 100 kB, and each of the checksum."""
    file = lost / "checkpoint.pt"
    intact = file.read_bytes()
    checksum = len(intact) - 25
    for offset in (*range(0, checksum, 97), *range(checksum, len(intact))):
        file.write_bytes(intact)
        flip_bit(file, offset)
        state, warnings = checkpoint.load(file)
        assert len(warnings) == 1, f"byte {offset} of {len(intact)}"
        assert state is not None
        assert state["curve"][-1][0] == 1
        assert not file.exists()


def test_a_damaged_checkpoint_never_replaces_the_previous_one(lost: Path) -> None:
    flip_bit(lost / "checkpoint.pt")
    TrialRunner(CONFIG, lost, resources=OFTEN).run_chunk()  # goes on from epoch 1, and writes a checkpoint of epoch 2
    flip_bit(lost / "checkpoint.pt")
    assert resume(lost) == (
        1,
        [
            f"{lost / 'checkpoint.pt'}: expected an intact checkpoint, got one with a wrong checksum, or cut short; "
            "the trial goes on from the one before it"
        ],
    )


def test_a_trial_without_an_intact_checkpoint_starts_anew(lost: Path) -> None:
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        flip_bit(lost / name)
    epoch, warnings = resume(lost)
    assert epoch == 0
    assert [warning.partition(": expected")[0] for warning in warnings] == [
        str(lost / "checkpoint.pt"),
        str(lost / "checkpoint.previous.pt"),
    ]
    assert all(warning.endswith("; the trial starts anew") for warning in warnings)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_checkpoint_that_was_cut_short_is_damaged(lost: Path, share: float) -> None:
    intact = (lost / "checkpoint.pt").read_bytes()
    (lost / "checkpoint.pt").write_bytes(intact[: int(share * len(intact))])
    epoch, (warning,) = resume(lost)
    assert epoch == 1
    assert "got one with a wrong checksum, or cut short" in warning


def test_a_kill_between_two_checkpoints_leaves_the_previous_one(lost: Path) -> None:
    (lost / "checkpoint.pt").unlink()
    assert resume(lost) == (1, [])


def test_a_checkpoint_of_another_version_is_not_read(lost: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "VERSION", checkpoint.VERSION + 1)
    epoch, warnings = resume(lost)
    assert epoch == 0
    assert f"expected an intact checkpoint, got one of version {checkpoint.VERSION - 1}, not" in warnings[0]


# The end of a trial


def test_an_error_at_the_end_is_the_trials_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no test part")

    monkeypatch.setattr(runner, "load_test", fail)
    trial = TrialRunner(CONFIG | {"epochs": 1}, tmp_path, at_end=("evaluate_test",))
    assert trial.run_chunk().failure == "ValueError: no test part"
    assert trial.finished


# Time limit and memory


def test_a_trial_that_notices_its_time_limit_fails_and_keeps_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "GRACE_SECONDS", 600)
    trial = TrialRunner(CONFIG, tmp_path, resources=Resources(limit_seconds=1e-6))
    assert trial.run_chunk().failure == "time limit: not done after 1e-06 s of computing, between two epochs"
    assert trial.finished
    assert file_names(tmp_path) == []


def test_a_trial_that_was_ended_at_its_time_limit_fails_once_and_may_then_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "hung.txt").write_text(
        'Timeout (0:00:05)!\nThread 0x01 (most recent call first):\n  File "/a/pool.py", line 1 in wait\n\n'
        'Thread 0x02 (most recent call first):\n  File "/a/mine.py", line 12 in forward\n'
        '  File "/a/runner.py", line 9 in guarded\n'
    )
    resources = Resources(limit_seconds=60)
    failure = TrialRunner(CONFIG, tmp_path, resources=resources).run_chunk().failure
    assert failure == "time limit: not done after 60 s of computing, in forward (mine.py:12)"
    run_to_end(TrialRunner(CONFIG, tmp_path, resources=resources))
    assert not (tmp_path / "hung.txt").exists()


def test_memory_that_ran_out_is_reported_and_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")

    trial = TrialRunner(CONFIG, tmp_path)
    monkeypatch.setattr(Replicates, "train_epoch", fail)
    assert trial.run_chunk().failure.startswith("out of memory: [enforce fail")
    assert trial.runs is None


HALF = CONFIG | {name: CONFIG[name] // 2 for name in ("batch_size", "meta_batch_size")}
HALVING = Resources(half_batch=True, checkpoint_seconds=1e-9)


def limit_memory(monkeypatch: pytest.MonkeyPatch, max_batch: int) -> None:
    """From the third epoch on, memory runs out for larger batches."""
    train = Run.train_epoch

    def train_or_fail(run: Run) -> Metrics:
        if run.epoch >= 2 and run.config.batch_size > max_batch:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return train(run)

    monkeypatch.setattr(Run, "train_epoch", train_or_fail)


def test_a_trial_with_half_the_batch_ends_as_one_that_had_it_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, HALF["batch_size"])
    run_to_end(TrialRunner(HALF, tmp_path / "half"))
    lost = TrialRunner(CONFIG, tmp_path / "lost", resources=HALVING)
    warnings: list[str] = []
    while not warnings:
        warnings = lost.run_chunk().warnings
    assert warnings == ["memory ran out at batch_size 64: tried again, from its start, with 32"]
    lost.run_chunk()
    trial = TrialRunner(CONFIG, tmp_path / "lost", resources=HALVING)
    assert trial.run is not None
    assert (trial.run.config.batch_size, trial.run.epoch) == (32, 1)
    run_to_end(trial)
    assert archive(tmp_path / "lost" / "labels.npz") == archive(tmp_path / "half" / "labels.npz")


@pytest.mark.parametrize(("max_batch", "resources"), [(1, HALVING), (32, OFTEN)], ids=["half is too much", "off"])
def test_a_trial_without_enough_memory_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_batch: int, resources: Resources
) -> None:
    limit_memory(monkeypatch, max_batch)
    trial = TrialRunner(CONFIG, tmp_path, resources=resources)
    while not trial.finished:
        trial.run_chunk()
    assert trial.failure == "out of memory: CUDA out of memory."


def test_other_data_on_a_worker_than_on_the_driver_fail_the_trial_before_its_first_step(tmp_path: Path) -> None:
    digest = load_summary(RunConfig(**CONFIG)).digest
    assert TrialRunner(CONFIG, tmp_path, data_digest=digest).failure == ""
    report = TrialRunner(CONFIG, tmp_path, data_digest="0123456789abcdef").run_chunk()
    assert report.unusable
    assert f"expected the data that this sweep began with, digest 0123456789abcdef, got {digest} on " in report.failure


def test_data_that_cannot_serve_a_trial_are_told_from_other_failures(tmp_path: Path) -> None:
    assert TrialRunner({**CONFIG, "meta_size": 5000}, tmp_path).run_chunk().unusable
    assert not TrialRunner({**CONFIG, "lr": 1e30}, tmp_path).run_chunk().unusable


def test_a_model_step_that_cannot_be_captured_as_a_graph_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_on_the_cpu(monkeypatch, RecordedCapture(fails_with=torch.OutOfMemoryError("CUDA out of memory")))
    trial, warnings = TrialRunner(CONFIG, tmp_path, seeds=2), []
    while not trial.finished:
        warnings += trial.run_chunk().warnings
    assert trial.failure == ""
    (warning,) = warnings
    assert warning.startswith("graph: a model step could not be captured (memory ran out)")
