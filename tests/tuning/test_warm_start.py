"""`--warm-start`: an earlier sweep's best, first in the next one. The sweeps here are pretended: no training."""

from pathlib import Path

import pytest

from harness.common.errors import InputError
from harness.search.warm_start import WarmStart, warm_start
from harness.space import Space, dump, parse
from harness.tracking.provenance import collect
from harness.tuning.storage.sweep_folder import FolderError
from harness.tuning.study.sweep_study import SweepStudy, read_trial_records
from harness.tuning.study.trial_record import best_trial
from tests.tuning.conftest import rising, run_all, space


def sweep(runs: Path, name: str, searched: Space) -> Path:
    folder = runs / name
    folder.mkdir()
    (folder / "space.yaml").write_text(dump(searched))
    run_all(SweepStudy(folder / "study.journal", searched))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder with `old`, a finished sweep of twelve trials, six an arm."""
    sweep(tmp_path, "old", space("search.trials=12"))
    return tmp_path


def started(runs: Path, searched: Space, text: str = "old") -> WarmStart:
    return warm_start(searched, text, runs, runs / "new")


def test_the_best_of_each_arm_come_first_the_best_before_the_next(runs: Path) -> None:
    records = read_trial_records(runs / "old" / "study.journal", space())
    warm = started(runs, space("arms.learned.points=[{label_lr: 0.5}]"), "old:2")
    trials = run_all(SweepStudy(runs / "journal", warm.space))
    for arm in ("learned", "one_hot"):
        ranked = sorted((e for e in records if e.arm == arm), key=lambda e: -(e.value or 0))
        assert [t.params for t in trials if t.arm == arm][:2] == [record.params for record in ranked[:2]]
        assert [start.trial for start in warm.origin.points[arm]] == [record.name for record in ranked[:2]]
    assert [trial.params for trial in trials if trial.arm == "learned"][2]["label_lr"] == 0.5, "then the space's own"
    assert warm.line == "warm start from old: 2 of learned, 2 of one_hot first"


def test_three_by_default_are_part_of_the_space_and_a_path_will_do(runs: Path) -> None:
    warm = started(runs, space()).space
    assert len(warm.arm("learned").points) == 3
    assert parse(dump(warm)) == warm
    assert started(runs / "elsewhere", space(), str(runs / "old")).space == warm


def test_values_outside_the_new_bounds_are_left_out_with_a_word(runs: Path) -> None:
    top = best_trial(read_trial_records(runs / "old" / "study.journal", space()), space())
    assert top is not None
    narrow = "arms.learned.parameters.label_lr={type: float, low: 20.0, high: 30.0}"
    warm = started(runs, space(narrow), "old:1")
    (point,) = warm.space.arm("learned").points
    assert set(point) == {"meta_interval"}
    assert len(warm.left_out) == 1
    assert " is not in 20 … 30: left to be suggested" in warm.left_out[0]


def test_a_parameter_that_only_one_of_the_two_has_is_left_to_be_suggested(runs: Path) -> None:
    other = (
        "arms.learned.parameters={lr: {type: float, low: 0.01, high: 1.0}, meta_interval: {type: int, low: 1, high: 9}}"
    )
    assert all(set(point) == {"meta_interval"} for point in started(runs, space(other)).space.arm("learned").points)


def test_trials_that_broke_a_constraint_or_failed_are_no_start(runs: Path) -> None:
    bound = space("constraints=[meta_interval >= 4]", "search.trials=16")
    folder = sweep(runs, "bound", bound)
    records = read_trial_records(folder / "study.journal", bound)
    assert any(record.arm == "learned" and not record.feasible for record in records)
    points = started(runs, space(), "bound:8").space.arm("learned").points
    assert points
    assert all(point["meta_interval"] >= 4 for point in points)  # type: ignore[operator]


def test_the_same_words_take_the_same_points_whatever_became_of_the_earlier_sweep(runs: Path) -> None:
    first = started(runs, space())
    (runs / "new").mkdir()
    collect(warm_start=first.origin).save(runs / "new")
    longer = space("search.trials=40")
    run_all(SweepStudy(runs / "old" / "study.journal", longer), lambda trial, epoch: 2 * rising(trial, epoch))
    assert started(runs, space()).space == first.space
    assert started(runs, space(), "old:2").space != first.space
    (runs / "old").rename(runs / "gone")
    assert started(runs, space()).space == first.space


def test_reading_an_earlier_sweep_leaves_it_as_it_is(runs: Path) -> None:
    journal = runs / "old" / "study.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code":4,"half a li')  # a driver in the midst of writing
    before = journal.read_bytes()
    started(runs, space())
    assert journal.read_bytes() == before
    assert {file.name for file in (runs / "old").iterdir()} == {"space.yaml", "study.journal"}


@pytest.mark.parametrize(
    ("text", "changes", "said"),
    [
        ("old:0", [], "--warm-start: expected NAME or NAME:K, the best K of each arm, got 'old:0'"),
        ("old:x", [], "--warm-start: expected NAME or NAME:K"),
        ("odl", [], "--warm-start: expected a sweep in .*, got 'odl'; did you mean old?"),
        ("new", [], "--warm-start: expected a sweep in"),
        ("old", ["search.sampler=grid", "baselines={}", "arms.learned.parameters={}"],
         "--warm-start: expected a sampler that suggests, got grid"),
        ("old", ["arms={mine: {method: learned}}", "baselines={}"],
         r"--warm-start: expected an arm of this space, mine \(learned\), in .*, got learned \(learned\), one_hot"),
        ("old", ["arms.learned.parameters={}", "baselines={}"], "--warm-start: expected complete trials in"),
    ],
)  # fmt: skip
def test_an_invalid_warm_start_is_refused_in_words(runs: Path, text: str, changes: list[str], said: str) -> None:
    with pytest.raises((InputError, FolderError), match=said):
        started(runs, space(*changes), text)


def test_a_sweep_does_not_start_from_itself(runs: Path) -> None:
    with pytest.raises(InputError, match="expected an earlier sweep, got the one to run"):
        warm_start(space(), "old", runs, runs / "old")
