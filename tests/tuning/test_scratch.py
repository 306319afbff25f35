"""A trial in an object store (file://) whose workers share nothing else, without Ray."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.common.urls import Url
from harness.training.config.run_config import RunConfig
from harness.tuning.worker import runner
from harness.tuning.worker.runner import TrialRunner
from harness.tuning.worker.scratch import ScratchFolder
from tests.tuning.test_trial_runner import CONFIG, LABEL_FILES, OFTEN, archive, file_names, flip_bit, run_to_end


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The trial's address."""
    use_node("one", tmp_path, monkeypatch)
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 1e-4)  # an epoch a chunk
    monkeypatch.setattr(runner, "UPLOAD_SHARE", 1e9)
    return f"file://{tmp_path}/store/toy/trials/0"


def use_node(name: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("XDG_CACHE_HOME", str(home / name))


def begin(location: str) -> TrialRunner:
    return TrialRunner(CONFIG, Url.parse(location), OFTEN)


def lose_after(location: str, epochs: int) -> TrialRunner:
    """A trial whose worker is lost after so many epochs."""
    trial = begin(location)
    for _ in range(epochs):
        assert not trial.run_chunk().warnings
    return trial


def stored(location: str) -> Path:
    return Path(Url.parse(location).path)


def test_a_trial_goes_on_on_another_node(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_to_end(TrialRunner(CONFIG, tmp_path / "undisturbed"))
    lost = lose_after(location, 3)
    assert file_names(stored(location)) == ["checkpoint.pt"]
    use_node("two", tmp_path, monkeypatch)
    trial = begin(location)
    assert trial.folder != lost.folder
    assert trial.run is not None
    assert trial.run.epoch == 3
    run_to_end(trial)
    assert file_names(stored(location)) == LABEL_FILES
    for name in LABEL_FILES:
        assert archive(stored(location) / name) == archive(tmp_path / "undisturbed" / name)
    trial.cleanup()
    assert not trial.folder.exists()


def test_a_trial_whose_checkpoint_is_damaged_in_the_store_starts_anew(location: str) -> None:
    lose_after(location, 3)
    flip_bit(stored(location) / "checkpoint.pt")
    trial = begin(location)
    assert trial.run is not None
    assert trial.run.epoch == 0
    assert "the trial starts anew" in trial.run_chunk().warnings[0]


def test_a_hung_trial_is_reported_by_the_next_worker_on_its_node(location: str) -> None:
    lost = lose_after(location, 1)
    (lost.folder / "hung.txt").write_text(
        'Thread 0x1 (most recent call first):\n  File "/x/mine.py", line 12 in step\n'
    )
    assert begin(location).run_chunk().failure == "time limit: in step (mine.py:12)"
    assert "time_limit.txt" in file_names(stored(location))


def test_an_unreachable_store_is_a_warning_during_a_trial_and_stops_the_driver_at_its_end(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = lose_after(location, 1)

    def fail(self: ScratchFolder) -> None:
        raise OSError(errno.EIO, "no network", location)

    monkeypatch.setattr(ScratchFolder, "upload", fail)
    report = trial.run_chunk()
    assert "no network; a lost worker's trial would go on from an earlier checkpoint" in report.warnings[0]
    assert not report.disk_error
    while not trial.finished:
        report = trial.run_chunk()
    assert "no network" in str(report.disk_error)
    assert not report.failure


def test_a_student_finds_its_teacher_in_the_store(location: str) -> None:
    teacher = stored(location).parent.parent / "distill" / "learned-3"
    logits = teacher / str(CONFIG["seed"])
    run_to_end(TrialRunner(CONFIG, logits, at_end=("export_logits",)))
    config = RunConfig(**CONFIG).model_copy(update={"method": "distillation"}).model_dump()
    run_to_end(TrialRunner({**config, "teacher": f"file://{teacher}"}, Url.parse(location), OFTEN))
    assert np.load(stored(location) / "labels.npz")["labels"].shape[1] == 10
    shutil.rmtree(logits)
    student = TrialRunner({**config, "teacher": f"file://{teacher}x"}, Url.parse(location), OFTEN)
    assert student.failure.startswith("teacher: expected")
