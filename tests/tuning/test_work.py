"""What a trial leaves in its folder, without Ray."""

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.training.config.run_config import RunConfig
from harness.training.replicates import Replicates
from harness.tuning.worker import checkpoint, runner, time_limit
from harness.tuning.worker.options import WorkerOptions
from harness.tuning.worker.runner import TrialRunner

CONFIG = RunConfig(noise="symmetric", noise_rate=0.4, width=8, epochs=6, train_size=200, label_lr=0.5).model_dump()
OFTEN = WorkerOptions(checkpoint_seconds=0)


def to_its_end(trial: TrialRunner) -> TrialRunner:
    while not trial.finished:
        assert trial.run_chunk()["failure"] == ""
    return trial


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_trial_taken_up_from_its_checkpoint_leaves_the_same_files_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_its_end(TrialRunner(CONFIG, tmp_path / "calm"))
    with monkeypatch.context() as patch:
        patch.setattr(runner, "CHUNK_SECONDS", 1e-4)  # an epoch a call
        lost = TrialRunner(CONFIG, tmp_path / "lost", options=OFTEN)
        for _ in range(3):
            lost.run_chunk()
    assert (tmp_path / "lost" / "checkpoint.pt").exists()
    taken_up = TrialRunner(CONFIG, tmp_path / "lost")
    assert taken_up.run is not None
    assert taken_up.run.epoch == 3
    to_its_end(taken_up)
    assert sorted(path.name for path in (tmp_path / "lost").iterdir()) == ["label_history.npz", "labels.npz"]
    for name in ("labels.npz", "label_history.npz"):
        assert members(tmp_path / "calm" / name) == members(tmp_path / "lost" / name)


def test_labels_say_where_in_the_data_set_their_images_are(tmp_path: Path) -> None:
    from harness.training.data.readers import digits

    to_its_end(TrialRunner(CONFIG | {"method": "one_hot", "epochs": 1}, tmp_path))
    labels = np.load(tmp_path / "labels.npz")
    assert len(np.unique(labels["index"])) == 200
    np.testing.assert_array_equal(digits.read().truth[labels["index"]], labels["truth"])
    assert not (tmp_path / "label_history.npz").exists()


def test_a_trial_of_several_seeds_is_taken_up_whole_and_tells_again_what_nobody_may_have_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 1e-4)

    def told(trial: TrialRunner) -> list[tuple[int, dict[str, float]]]:
        curve: list[tuple[int, dict[str, float]]] = []
        while not trial.finished:
            curve += trial.run_chunk()["epochs"]
        return [(epoch, {**metrics, "seconds": 0}) for epoch, metrics in curve]

    calm = told(TrialRunner(CONFIG, tmp_path / "calm", seeds=2))
    assert [epoch for epoch, _ in calm] == [1, 2, 3, 4, 5, 6]
    lost = TrialRunner(CONFIG, tmp_path / "lost", seeds=2, options=OFTEN)
    for _ in range(3):
        lost.run_chunk()  # its results went down with the driver
    assert told(TrialRunner(CONFIG, tmp_path / "lost", seeds=2)) == calm
    assert members(tmp_path / "calm" / "labels.npz") == members(tmp_path / "lost" / "labels.npz")
    to_its_end(TrialRunner(CONFIG, tmp_path / "first"))
    assert members(tmp_path / "first" / "labels.npz") == members(tmp_path / "calm" / "labels.npz"), "of the first seed"


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a trial that was lost after its second epoch, with a checkpoint of each."""
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 1e-4)  # an epoch a call
    trial = TrialRunner(CONFIG, tmp_path / "lost", options=OFTEN)
    for _ in range(2):
        trial.run_chunk()
    return tmp_path / "lost"


def epochs_and_warnings(folder: Path) -> tuple[int, list[str]]:
    """Where a trial goes on from, and what it says of that."""
    again = TrialRunner(CONFIG, folder, options=OFTEN)
    assert again.run is not None
    epoch = again.run.epoch
    told = again.run_chunk()
    assert told["failure"] == ""
    assert [number for number, _ in told["epochs"]] == list(range(1, epoch + 2))
    assert again.run_chunk()["warnings"] == []
    return epoch, told["warnings"]


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def test_a_whole_checkpoint_is_gone_on_from_without_a_word(lost: Path) -> None:
    assert epochs_and_warnings(lost) == (2, [])


def test_torch_reads_a_checkpoint_as_it_is(lost: Path) -> None:
    assert torch.load(lost / "checkpoint.pt", weights_only=True)["version"] == checkpoint.VERSION


def test_a_flipped_bit_anywhere_in_a_checkpoint_is_noticed(lost: Path) -> None:
    """Every 97th byte of about 100 kB, and each of the checksum's own."""
    whole = (lost / "checkpoint.pt").read_bytes()
    first, last = lost / "checkpoint.pt", len(whole) - 25
    for place in (*range(0, last, 97), *range(last, len(whole))):
        first.write_bytes(whole)
        flip(first, place)
        found = checkpoint.load(first)
        assert len(found.warnings) == 1, f"byte {place} of {len(whole)}"
        assert found.state is not None
        assert found.state["curve"][-1][0] == 1
        assert not first.exists()


def test_of_a_damaged_checkpoint_the_one_before_is_taken_and_that_is_told(lost: Path) -> None:
    flip(lost / "checkpoint.pt", 2000)
    epoch, warnings = epochs_and_warnings(lost)
    assert epoch == 1
    assert warnings == [
        f"{lost / 'checkpoint.pt'}: expected an intact checkpoint, got one with a wrong checksum; the trial goes "
        "on from the one before it"
    ]


def test_a_damaged_checkpoint_does_not_drive_out_the_last_whole_one(lost: Path) -> None:
    flip(lost / "checkpoint.pt", 2000)
    TrialRunner(CONFIG, lost, options=OFTEN).run_chunk()  # it goes on from the one before, and writes another
    flip(lost / "checkpoint.pt", 2000)
    assert epochs_and_warnings(lost)[0] == 1


def test_where_both_are_damaged_a_trial_starts_anew_and_that_is_told(lost: Path) -> None:
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        flip(lost / name, 2000)
    epoch, warnings = epochs_and_warnings(lost)
    assert epoch == 0
    assert [warning.partition(": expected")[0] for warning in warnings] == [
        str(lost / "checkpoint.pt"),
        str(lost / "checkpoint.previous.pt"),
    ]
    assert all(warning.endswith("; the trial starts anew") for warning in warnings)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_of_a_checkpoint_that_was_cut_short_the_one_before_is_taken(lost: Path, share: float) -> None:
    whole = (lost / "checkpoint.pt").read_bytes()
    (lost / "checkpoint.pt").write_bytes(whole[: int(share * len(whole))])
    epoch, (warning,) = epochs_and_warnings(lost)
    assert epoch == 1
    assert "got one without a checksum at its end" in warning


def test_a_kill_between_two_checkpoints_leaves_the_one_before(lost: Path) -> None:
    (lost / "checkpoint.pt").unlink()
    assert epochs_and_warnings(lost) == (1, [])


def test_a_checkpoint_of_another_version_costs_time_and_no_more(lost: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "VERSION", checkpoint.VERSION + 1)
    epoch, warnings = epochs_and_warnings(lost)
    assert epoch == 0
    assert f"expected an intact checkpoint, got one of version {checkpoint.VERSION - 1}, not" in warnings[0]


def test_the_checksum_costs_next_to_nothing(lost: Path) -> None:
    """CRC-32 runs at a gigabyte a second and more; a tenth of that is allowed for, on a busy core."""
    state = {"w": torch.zeros(5_000_000)}
    checkpoint.save(lost / "checkpoint.pt", state)
    began = time.process_time()
    checkpoint.save(lost / "checkpoint.pt", state)
    assert time.process_time() - began < 0.5


def test_a_trial_that_ends_leaves_no_checkpoint(lost: Path) -> None:
    to_its_end(TrialRunner(CONFIG, lost))
    assert sorted(path.name for path in lost.iterdir()) == ["label_history.npz", "labels.npz"]


def test_a_trial_over_its_limit_that_comes_to_itself_is_failed_and_keeps_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "GRACE_SECONDS", 600)
    trial = TrialRunner(CONFIG, tmp_path, options=WorkerOptions(limit_seconds=1e-6))
    assert trial.run_chunk()["failure"] == "time limit: not done after 1e-06 s of computing, between two epochs"
    assert trial.finished
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_was_ended_for_its_limit_is_failed_once_and_may_then_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "hung.txt").write_text(
        'Timeout (0:00:05)!\nThread 0x01 (most recent call first):\n  File "/a/pool.py", line 1 in wait\n\n'
        'Thread 0x02 (most recent call first):\n  File "/a/mine.py", line 12 in forward\n'
        '  File "/a/work.py", line 9 in guarded\n'
    )
    ended = TrialRunner(CONFIG, tmp_path, options=WorkerOptions(limit_seconds=60))
    assert ended.run_chunk()["failure"] == "time limit: not done after 60 s of computing, in forward (mine.py:12)"
    to_its_end(TrialRunner(CONFIG, tmp_path, options=WorkerOptions(limit_seconds=60)))
    assert not (tmp_path / "hung.txt").exists()


def test_memory_that_ran_out_is_told_as_such_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory")

    trial = TrialRunner(CONFIG, tmp_path)
    monkeypatch.setattr(Replicates, "train_epoch", too_much)
    assert trial.run_chunk()["failure"].startswith("out of memory: [enforce fail")
    assert trial.runs is None


def test_the_test_part_is_opened_after_the_last_epoch_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 1e-4)
    opened: list[int] = []
    load_test = runner.load_test
    monkeypatch.setattr(runner, "load_test", lambda config: opened.append(trial.run.epoch) or load_test(config))  # type: ignore
    trial = TrialRunner(CONFIG, tmp_path, at_end=("export_logits", "evaluate_test"))
    assert trial.run is not None
    while not trial.finished:
        assert not opened
        assert not (tmp_path / "logits.npz").exists()
        with pytest.raises(AssertionError, match="expected a run after its last epoch"):
            trial.evaluate_test(trial.run)
        report = trial.run_chunk()
    assert opened == [6]
    assert report["failure"] == ""
    assert 0 < report["test"]["test_accuracy"] <= 1
    assert report["test_samples"] > 100
    assert [each["context"] for each in report["datasets"]] == ["test"]
    assert (tmp_path / "logits.npz").exists()
    assert to_its_end(TrialRunner(CONFIG, tmp_path / "search")).test == {}
    assert opened == [6], "a trial of a search never opens it"


def test_what_goes_wrong_at_the_end_is_the_trials_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no test part")

    monkeypatch.setattr(runner, "load_test", fail)
    trial = TrialRunner(CONFIG | {"epochs": 1}, tmp_path, at_end=("evaluate_test",))
    assert trial.run_chunk()["failure"] == "ValueError: no test part"
    assert trial.finished
