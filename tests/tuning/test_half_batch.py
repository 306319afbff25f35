"""A trial whose memory ran out, tried once more with half the batch, where a search asks for that."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.training.config.run_config import RunConfig
from harness.training.metrics import Metrics
from harness.training.run import Run
from harness.tuning.worker import runner
from harness.tuning.worker.options import WorkerOptions
from harness.tuning.worker.runner import TrialRunner

WHOLE = RunConfig(noise="symmetric", noise_rate=0.4, width=8, epochs=6, train_size=200, label_lr=0.5).model_dump()
HALF = WHOLE | {"batch_size": WHOLE["batch_size"] // 2, "meta_batch_size": WHOLE["meta_batch_size"] // 2}
HALVING = WorkerOptions(half_batch=True, checkpoint_seconds=0)


@pytest.fixture(autouse=True)
def an_epoch_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 1e-4)


def hold(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A device that has no memory, from the third epoch on, for batches of more than so many."""
    train = Run.train_epoch

    def train_or_refuse(run: Run) -> Metrics:
        if run.epoch >= 2 and run.config.batch_size > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return train(run)

    monkeypatch.setattr(Run, "train_epoch", train_or_refuse)


def to_its_end(trial: TrialRunner) -> list[str]:
    """Returns its warnings."""
    warnings: list[str] = []
    while not trial.finished:
        warnings += trial.run_chunk()["warnings"]
    return warnings


def labels(folder: Path) -> np.ndarray:
    left: np.ndarray = np.load(folder / "labels.npz")["labels"]
    return left


def test_it_ends_as_one_that_had_half_the_batch_from_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(monkeypatch, HALF["batch_size"])
    assert to_its_end(TrialRunner(HALF, tmp_path / "half")) == []
    trial = TrialRunner(WHOLE, tmp_path / "tried", options=HALVING)
    assert to_its_end(trial) == ["memory ran out at batch_size 64: tried again, from its start, with 32"]
    assert trial.failure == ""
    np.testing.assert_array_equal(labels(tmp_path / "tried"), labels(tmp_path / "half"))


def test_a_lost_one_goes_on_with_half_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(monkeypatch, HALF["batch_size"])
    to_its_end(TrialRunner(WHOLE, tmp_path / "calm", options=HALVING))
    lost = TrialRunner(WHOLE, tmp_path / "lost", options=HALVING)
    while not lost.run_chunk()["warnings"]:
        pass
    lost.run_chunk()
    taken_up = TrialRunner(WHOLE, tmp_path / "lost", options=HALVING)
    assert taken_up.run is not None
    assert (taken_up.run.config.batch_size, taken_up.run.epoch) == (32, 1)
    to_its_end(taken_up)
    np.testing.assert_array_equal(labels(tmp_path / "lost"), labels(tmp_path / "calm"))


@pytest.mark.parametrize(
    ("most", "options"), [(1, HALVING), (32, WorkerOptions())], ids=["half is too much", "not asked for"]
)
def test_it_is_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, options: WorkerOptions) -> None:
    hold(monkeypatch, most)
    trial = TrialRunner(WHOLE, tmp_path, options=options)
    to_its_end(trial)
    assert trial.failure == "out of memory: CUDA out of memory."
