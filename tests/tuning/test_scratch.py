"""A trial whose place is in a store (here file://), on nodes that share nothing else, without Ray."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.common.urls import Url
from harness.tuning.storage.object_store import Store, StoreError
from harness.tuning.worker import runner
from harness.tuning.worker.runner import TrialRunner
from harness.tuning.worker.scratch import ScratchFolder
from tests.tuning.test_work import CONFIG, OFTEN, members, to_its_end


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    on_node("one", tmp_path, monkeypatch)
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 1e-4)  # an epoch a call
    monkeypatch.setattr(runner, "UPLOAD_SHARE", 1e9)
    return f"file://{tmp_path}/store/toy/trials/0"


def on_node(name: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("XDG_CACHE_HOME", str(home / name))


def begun(place: str, **config: object) -> TrialRunner:
    folder, scratch = runner.resolve_dir(place)
    return TrialRunner({**CONFIG, **config}, folder, options=OFTEN, scratch=scratch)


def lost_after(place: str, epochs: int) -> TrialRunner:
    trial = begun(place)
    for _ in range(epochs):
        assert not trial.run_chunk()["warnings"]
    return trial


def stored(place: str) -> Path:
    return Path(Url.parse(place).path)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_a_trial_goes_on_on_another_node_from_what_is_in_the_store(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_its_end(TrialRunner(CONFIG, tmp_path / "calm"))
    lost = lost_after(place, 3)
    assert names(stored(place)) == {"checkpoint.pt", "checkpoint.previous.pt"}
    on_node("two", tmp_path, monkeypatch)
    taken_up = begun(place)
    assert taken_up.folder != lost.folder
    assert taken_up.run is not None
    assert taken_up.run.epoch == 3
    to_its_end(taken_up)
    assert names(stored(place)) == {"label_history.npz", "labels.npz"}, "what only the run needed is taken away"
    for name in ("labels.npz", "label_history.npz"):
        assert members(stored(place) / name) == members(tmp_path / "calm" / name)
    taken_up.cleanup()
    assert not taken_up.folder.exists()


def test_of_a_checkpoint_that_is_damaged_in_the_store_the_one_before_is_taken(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost_after(place, 3)
    file = stored(place) / "checkpoint.pt"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    on_node("two", tmp_path, monkeypatch)
    taken_up = begun(place)
    assert taken_up.run is not None
    assert taken_up.run.epoch == 2
    assert "the trial goes on from the one before it" in taken_up.run_chunk()["warnings"][0]


def test_the_checkpoint_before_is_not_sent_again(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    send = Store.upload
    monkeypatch.setattr(Store, "upload", lambda self, name, file: (sent.append(name), send(self, name, file)))
    lost_after(place, 3)
    assert sent == ["checkpoint.pt"] * 3
    assert (stored(place) / "checkpoint.previous.pt").exists()


def test_where_a_trial_hung_is_told_by_the_next_on_that_node_and_in_the_store(place: str) -> None:
    lost = lost_after(place, 1)
    (lost.folder / "hung.txt").write_text(
        'Thread 0x1 (most recent call first):\n  File "/x/mine.py", line 12 in step\n'
    )
    next_one = begun(place)
    assert next_one.run_chunk()["failure"] == "time limit: in step (mine.py:12)"
    assert "time_limit.txt" in names(stored(place))


def test_a_store_that_is_away_is_a_warning_on_the_way_and_stops_the_driver_at_the_end(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = lost_after(place, 1)

    def away(self: ScratchFolder) -> None:
        raise StoreError(self.url, "written at checkpoint.pt", OSError("no network"))

    monkeypatch.setattr(ScratchFolder, "upload", away)
    on_the_way = trial.run_chunk()
    assert "no network; a lost worker's trial would go on from an earlier checkpoint" in on_the_way["warnings"][0]
    assert not on_the_way["disk_error"]
    while not trial.finished:
        told = trial.run_chunk()
    assert "no network" in told["disk_error"][1]
    assert not told["failure"], "it is no fault of the trial's"


def test_a_student_finds_its_teacher_in_the_store(place: str, tmp_path: Path) -> None:
    teacher = TrialRunner(CONFIG, tmp_path / "teacher")
    to_its_end(teacher)
    run = teacher.run
    assert run is not None
    from harness.training.logits import teach

    told = stored(place).parent.parent / "distill" / "learned-3" / str(CONFIG["seed"]) / "logits.npz"
    told.parent.mkdir(parents=True)
    teach(run.model, run.images, run.config.dataset, told)
    where = f"file://{told.parent.parent}"
    student = begun(place, method="distillation", teacher=where)
    to_its_end(student)
    assert np.load(stored(place) / "labels.npz")["labels"].shape[1] == 10
    shutil.rmtree(told.parent)
    assert begun(place, method="distillation", teacher=where + "x").failure.startswith("DataError: teacher: expected")
