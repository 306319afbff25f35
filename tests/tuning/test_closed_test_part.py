"""Nothing but a run's last epoch opens the test part, whatever is asked of a search, a runner or a source."""

from pathlib import Path

import pytest

from harness.training.config.run_config import RunConfig
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.worker import runner
from harness.tuning.worker.runner import TrialRunner
from tests.tuning.conftest import space

CONFIG = RunConfig(dataset="digits", model="mlp", width=8, epochs=3, train_size=128).model_dump()


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds for which the test part was loaded."""
    seeds: list[int] = []
    load = runner.load_test
    monkeypatch.setattr(runner, "load_test", lambda config: seeds.append(config.seed) or load(config))
    monkeypatch.setattr(runner, "CHUNK_SECONDS", 0.0)  # an epoch a chunk
    return seeds


def test_a_run_on_a_fresh_seed_opens_the_test_part_once_after_its_last_epoch(
    tmp_path: Path, openings: list[int]
) -> None:
    trial = TrialRunner(CONFIG, tmp_path, at_end=("export_logits", "evaluate_test"))
    for epoch in (1, 2):
        report = trial.run_chunk()
        assert (report.epochs[-1][0], report.test, openings) == (epoch, {}, [])
        assert not (tmp_path / "logits.npz").exists()
    report = trial.run_chunk()
    assert report.finished
    assert (tmp_path / "logits.npz").exists()
    assert set(report.test) >= {"test_accuracy", "test_loss"}
    assert report.test_samples == 359, "a fifth of 1,797 images"
    assert openings == [CONFIG["seed"]]
    assert [part["context"] for part in report.datasets] == ["test"]


def test_it_cannot_be_opened_before_the_last_epoch(tmp_path: Path, openings: list[int]) -> None:
    trial = TrialRunner(CONFIG, tmp_path, at_end=("evaluate_test",))
    trial.run_chunk()
    run = trial.run
    assert run is not None
    trial.guarded(lambda: trial.evaluate_test(run))
    assert trial.failure.startswith("AssertionError")
    assert trial.run_chunk().test == {}
    assert openings == []


def test_a_trial_that_diverges_leaves_it_closed(tmp_path: Path, openings: list[int]) -> None:
    trial = TrialRunner({**CONFIG, "lr": 1e30}, tmp_path, at_end=("evaluate_test",))
    report = trial.run_chunk()
    assert report.failure.startswith("diverged")
    assert report.test == {}
    assert openings == []


def test_a_search_asks_for_no_test_part_and_refuses_one(journal: Path) -> None:
    study = SweepStudy(journal, space("search.trials=4"))
    while (trial := study.next()) is not None:
        assert trial.at_end == ()
        with pytest.raises(AssertionError, match="a search measured the test part"):
            study.record_test(trial.number, {"test_accuracy": 0.9}, 360)
        study.fail(trial.number, "diverged: nan")


def test_a_search_trial_on_a_worker_never_opens_it(tmp_path: Path, openings: list[int]) -> None:
    trial = TrialRunner(CONFIG, tmp_path)
    while not trial.finished:
        assert trial.run_chunk().test == {}
    assert openings == []
