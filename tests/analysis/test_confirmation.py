"""A confirmation drawn: the pairs of a verdict are those of its seeds; an interval that is not known is not drawn."""

from pathlib import Path

import numpy as np
import pytest

from analysis.figures import confirmation
from analysis.frames.sweep_frame import SweepFrame, load, read
from harness.results import Confirmation
from harness.results.measurement import Interval
from harness.tracking.spool.spooled_sweep import SpooledSweep
from tests.analysis.sweeps import confirmed, confirmed_results, recorded, searched, sent


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> SweepFrame:
    folder = tmp_path_factory.mktemp("confirmed") / "label_lr"
    recorded(folder, iter([*searched(), *confirmed(folder)]))
    return read(SpooledSweep.read(folder))


def test_the_server_gives_what_confirm_wrote(runs: Path, store: str) -> None:
    sent(store, runs, iter([*searched(), *confirmed(runs / "label_lr")]))
    study = load({"TRACKING_URI": store})
    loaded = confirmation.load(study)
    assert not isinstance(loaded, str)
    assert loaded.model_dump() == Confirmation.load(runs / "label_lr").model_dump()
    assert len(study.trials) == 18, "runs of the confirmation are no trials of the search"


def test_pairs_are_those_of_equal_seeds_the_closest_first(swept: SweepFrame) -> None:
    found = confirmation.load(swept)
    assert not isinstance(found, str)
    pairs = confirmation.pairs(found)
    assert [pair.baseline for pair in pairs] == ["label_smoothing-15", "one_hot-12"]
    assert pairs[0].name == "learned-6"
    for pair, gap in zip(pairs, (2, 4), strict=True):
        assert pair.differences == pytest.approx([gap + 0.1, gap - 0.1, gap + 0.1, gap - 0.1])
        assert pair.interval == pytest.approx((gap - 0.1, gap + 0.1))
        assert pair.corrected == pytest.approx((gap - 0.2, gap + 0.2))


def test_a_seed_that_one_of_the_two_lost_is_no_pair() -> None:
    found = confirmed_results()
    lost = found.arms["label_smoothing"].configurations["label_smoothing-15"]
    del lost.seeds[1], lost.test_accuracy[1]
    assert len(confirmation.pairs(found)[0].differences) == 3
    assert confirmation.pairs(found)[0].differences == pytest.approx([2.1, 2.1, 1.9])


def test_every_seed_is_a_line_and_a_dot_beside_zero(swept: SweepFrame) -> None:
    found = confirmation.load(swept)
    left, right = confirmation.paired(found).axes
    ends = [tuple(np.asarray(line.get_ydata())) for line in left.lines if list(line.get_xdata()) == [0, 1]]
    assert not isinstance(found, str)
    pair = confirmation.pairs(found)[0]
    assert ends == list(zip(pair.theirs, pair.ours, strict=True))
    dots = [point for each in right.collections for point in np.asarray(each.get_offsets())[:, 0]]
    assert len(dots) == 8
    assert any(list(line.get_xdata()) == [0, 0] for line in right.lines)
    assert left.get_ylabel() == "test accuracy (%), a line a seed"
    assert right.get_xlabel() == "learned-6 minus baseline (points)"
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["one_hot-12", "label_smoothing-15"]


def test_one_seed_has_no_interval_and_is_drawn_without() -> None:
    unknown = Interval(None, None)
    rows = [
        row.model_copy(update={"ci95": unknown, "ci95_corrected": unknown}) for row in confirmed_results(1).comparisons
    ]
    found = confirmed_results(1).model_copy(update={"comparisons": rows})
    for arm in found.arms.values():
        for name, one in arm.configurations.items():
            arm.configurations[name] = one.model_copy(update={"ci95": unknown})
    assert confirmation.pairs(found)[0].interval is None
    confirmation.paired(found)
    confirmation.figure(found)
    assert confirmation.comparisons(found)["low"].isna().all()


def test_comparisons_are_in_points() -> None:
    rows = confirmation.comparisons(confirmed_results())
    assert list(rows["configuration"]) == ["learned-6", "learned-6"]
    assert list(rows["difference"]) == [4.0, 2.0]
    assert list(rows["corrected_low"]) == [3.8, 1.8]


def test_without_a_confirmation_every_part_says_so(as_recorded: SweepFrame) -> None:
    found = confirmation.load(as_recorded)
    said = "label_lr is not confirmed on fresh seeds: python -m harness.confirm label_lr"
    assert found == confirmation.verdict(found) == said
    for drawn in (confirmation.figure(found), confirmation.paired(found)):
        assert drawn.axes[0].texts[0].get_text() == said
    assert confirmation.comparisons(found).empty


def test_a_verdict_without_a_baseline_is_shown_without_pairs() -> None:
    nothing = {"gain": None, "comparisons": [], "verdict": "there is no baseline to compare with"}
    found = confirmed_results().model_copy(update=nothing)
    assert confirmation.pair_panels(found) == []
    assert confirmation.paired(found).axes[0].texts[0].get_text() == "there is no baseline to compare with"
