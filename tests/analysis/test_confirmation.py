"""Figures of a confirmation: pairs are of equal seeds; an interval that is not known is not drawn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import confirmation, style
from analysis.figures.style import Plots
from analysis.frames.sweep_frame import SweepFrame, load
from harness.results import Confirmation
from harness.results.measurement import Interval
from tests.analysis.sweeps import confirmation_events, confirmation_result, record_and_send, search_events

BOTH = (confirmation.configuration_plots, confirmation.paired_plots)


def test_the_server_gives_what_confirm_wrote(runs: Path, store: str) -> None:
    record_and_send(store, runs, [*search_events(), *confirmation_events(runs / "label_lr")])
    sweep = load({"TRACKING_URI": store})
    loaded = confirmation.load(sweep)
    assert not isinstance(loaded, str)
    assert loaded.model_dump() == Confirmation.load(runs / "label_lr").model_dump()
    assert len(sweep.trials) == 18, "runs of the confirmation are no trials of the search"


def test_the_verdict_is_compared_with_each_baseline_the_closest_first() -> None:
    rows = confirmation.verdict_comparisons(confirmation_result())
    assert [(row.name, row.baseline_name) for row in rows] == [
        ("learned-6", "label_smoothing-15"),
        ("learned-6", "one_hot-12"),
    ]


def test_each_seed_that_both_completed_is_a_line_and_a_dot_beside_zero() -> None:
    result = confirmation_result()
    lost = result.arms["label_smoothing"].configurations["label_smoothing-15"]
    del lost.seeds[1], lost.test_accuracy[1]
    ours = result.arms["learned"].configurations["learned-6"].test_accuracy
    left, right = style.figure(confirmation.paired_plots(result)).axes
    ends = [100 * value for line in left.lines if list(line.get_xdata()) == [0, 1] for value in line.get_ydata()]  # type: ignore[union-attr, operator]
    pairs = zip(lost.test_accuracy, [ours[0], *ours[2:]], strict=True)
    assert ends == pytest.approx([100 * 100 * value for pair in pairs for value in pair])
    one_hot, smoothing = (np.asarray(dots.get_offsets())[:, 0] for dots in right.collections)
    assert list(one_hot) == pytest.approx([4.1, 3.9, 4.1, 3.9])
    assert list(smoothing) == pytest.approx([2.1, 2.1, 1.9])
    spans = [list(line.get_xdata()) for line in right.lines if len(line.get_xdata()) == 2]  # type: ignore[arg-type]
    assert spans[0] == [0, 0]
    assert np.array(spans[1:]) == pytest.approx(np.array([[3.8, 4.2], [3.9, 4.1], [1.8, 2.2], [1.9, 2.1]]))
    assert left.get_ylabel() == "test accuracy (%), a line per seed"
    assert right.get_xlabel() == "learned-6 minus baseline (points)"
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["one_hot-12", "label_smoothing-15"]


def test_one_seed_has_no_interval_and_is_drawn_without() -> None:
    result = confirmation_result(1)
    unknown = {"ci95": Interval(None, None), "ci95_corrected": Interval(None, None)}
    result = result.model_copy(update={"comparisons": [row.model_copy(update=unknown) for row in result.comparisons]})
    for arm in result.arms.values():
        for name, results in arm.configurations.items():
            arm.configurations[name] = results.model_copy(update={"ci95": Interval(None, None)})
    for plots in BOTH:
        assert all(len(line.get_xdata()) == 1 for line in style.figure(plots(result)).axes[-1].lines[1:])  # type: ignore[arg-type]
    assert confirmation.comparison_table(result)["low"].isna().all()


def test_comparisons_are_in_points() -> None:
    rows = confirmation.comparison_table(confirmation_result())
    assert list(rows["configuration"]) == ["learned-6", "learned-6"]
    assert list(rows["difference"]) == [4.0, 2.0]
    assert list(rows["corrected_low"]) == [3.8, 1.8]


@pytest.mark.parametrize("plots", BOTH)
def test_without_a_confirmation_every_part_states_it(
    plots: Callable[[Confirmation | str], Plots], sweep: SweepFrame
) -> None:
    result = confirmation.load(sweep)
    sentence = "label_lr is not confirmed on fresh seeds: python -m harness.confirm label_lr"
    assert [result] == [confirmation.verdict(result)] == plots(result) == [sentence]
    assert confirmation.comparison_table(result).empty


def test_a_verdict_without_a_baseline_has_no_pairs() -> None:
    nothing = {"gain": None, "comparisons": [], "verdict": "there is no baseline to compare with"}
    assert confirmation.paired_plots(confirmation_result().model_copy(update=nothing)) == [nothing["verdict"]]
