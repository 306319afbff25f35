"""Each figure draws what is in the sweep, names its axes with units, and holds in grey."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from analysis.figures import (
    correction_curves,
    learning_curves,
    parallel_coordinates,
    response,
    response_surface,
    search_progress,
    style,
)
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import SweepFrame

NAMED = (response.plots, learning_curves.plots, correction_curves.plots)


def all_figures(sweep: SweepFrame) -> list[Figure]:
    surfaces = response_surface.plots(response_surface.fit(sweep))
    side_by_side = [style.figure(plots(sweep)) for plots in (*NAMED, search_progress.plots)]
    by_arm = [style.figure_by_arm(plots) for plots in (parallel_coordinates.plots(sweep), surfaces)]
    panels = [panel for plots in NAMED for panel in style.panels(plots(sweep)) if isinstance(panel, Figure)]
    return [*side_by_side, *by_arm, *panels]


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.mark.parametrize("plots", NAMED)
def test_every_axis_is_named_with_its_unit(plots: Callable[[SweepFrame], Plots], sweep: SweepFrame) -> None:
    for axes in style.figure(plots(sweep)).axes:
        if axes.get_label() != "<colorbar>":
            assert axes.get_xlabel() in ("epoch", "label learning rate")
        assert axes.get_ylabel().endswith(("(%)", "(model steps)", "(model steps per label update)"))


def test_nothing_is_drawn_outside_a_figure(sweep: SweepFrame, tmp_path: Path) -> None:
    for figure in all_figures(sweep):
        figure.savefig(tmp_path / "figure.png")  # lays it out
        inside = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
        assert min(inside.x0, inside.y0) >= -1
        assert inside.x1 <= figure.bbox.x1 + 1
        assert inside.y1 <= figure.bbox.y1 + 1


def test_plots_side_by_side_share_their_legend_and_a_sentence_stands_for_one_that_lacks_data() -> None:
    plot = Plot(lambda axes: [axes.plot([0, 1], label="a") for _ in range(2)])
    axes = style.figure([plot, plot, "no data"]).axes
    shown = filter(None, (panel.get_legend() for panel in axes))
    legends = [[text.get_text() for text in legend.get_texts()] for legend in shown]
    assert legends == [["a"]], "each entry once"
    assert [text.get_text() for text in axes[2].texts] == ["no data"]
    panel, sentence = style.panels([plot, "no data"])
    assert isinstance(panel, Figure)
    assert sentence == "no data"


def test_the_response_has_every_learned_trial_at_its_parameters(sweep: SweepFrame) -> None:
    left = style.figure(response.plots(sweep)).axes[0]
    drawn = {
        (round(float(x), 9), int(y))
        for dots in left.collections
        if isinstance(dots, PathCollection)
        for x, y in dots.get_offsets()  # type: ignore[union-attr]
    }
    assert drawn == {(round(10 ** (number / 4 - 2), 9), 1 + number % 5) for number in range(12)}
    assert left.get_xscale() == "log"


@pytest.mark.parametrize(("accuracy", "lowest"), [([95, 94, 91, 88, 10], 88), ([95, 94, 91, 88], 88), ([95], 95)])
def test_a_diverged_trial_does_not_flatten_the_others(accuracy: list[float], lowest: float) -> None:
    assert response.lowest_shown(pd.Series(accuracy)) == lowest


def test_the_response_names_states_and_baselines(sweep: SweepFrame) -> None:
    shown = words(style.figure(response.plots(sweep)))
    for name in ("complete (7)", "pruned (4)", "failed (1)", "best one_hot", "best label_smoothing"):
        assert name in shown


def test_learning_curves_show_the_best_learned_trials_and_each_baseline_at_its_best_and_longest(
    sweep: SweepFrame,
) -> None:
    axes = style.figure(learning_curves.plots(sweep)).axes[0]
    lines = {str(line.get_label()).split(":")[0]: line for line in axes.lines}
    assert list(lines) == [
        "learned, best",
        "learned, no. 2",
        "learned, no. 3",
        "one_hot, best",
        "one_hot, longest",
        "label_smoothing, best",
    ]
    best = sweep.best("learned").iloc[0]
    assert list(lines["learned, best"].get_ydata()) == pytest.approx(  # type: ignore[arg-type]
        list(100 * sweep.curve(int(best["trial"]), "val_accuracy")["value"])
    )
    assert list(lines["one_hot, longest"].get_xdata()) == list(range(1, 13))  # type: ignore[arg-type]


def test_correction_curves_show_every_learned_trial_and_no_baseline(sweep: SweepFrame) -> None:
    figure = style.figure(correction_curves.plots(sweep))
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) == 12
    assert left.get_ylabel() == "wrong labels put right (%)"
    assert max(float(max(line.get_ydata())) for line in left.lines) <= 100  # type: ignore[arg-type]
    assert "one_hot" not in words(figure)


def test_arms_differ_by_line_and_marker_and_not_by_colour_alone() -> None:
    styles = style.arm_styles(["learned"], ["one_hot", "label_smoothing", "bootstrap", "other"])
    for one, other in combinations(styles.values(), 2):
        assert one.linestyle != other.linestyle or one.marker != other.marker
        assert to_rgb(one.color) != to_rgb(other.color)
