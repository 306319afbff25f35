"""Each figure draws what is in the study, names its axes with units, and holds in grey."""

from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from analysis.figures import correction, learning_curves, parallel, response, search_progress, style, surface
from analysis.frames.sweep_frame import SweepFrame, load
from harness.tracking.spool.events import Event
from harness.training.config.run_config import RunConfig
from tests.analysis.sweeps import searched, sent, trial

FIGURES = (response.figure, learning_curves.figure, correction.figure)
OTHERS = (parallel.figure, search_progress.figure, surface.figure)


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.mark.parametrize("draw", FIGURES)
def test_every_axis_is_named_with_its_unit(draw: Callable[[SweepFrame], Figure], study: SweepFrame) -> None:
    for axes in draw(study).axes:
        if axes.get_label() != "<colorbar>":
            assert axes.get_xlabel() in ("epoch", "label learning rate")
        assert axes.get_ylabel().endswith(("(%)", "(model steps)", "(model steps per label update)"))


@pytest.mark.parametrize("draw", [*FIGURES, *OTHERS])
def test_nothing_is_drawn_outside_the_figure(
    draw: Callable[[SweepFrame], Figure], study: SweepFrame, tmp_path: Path
) -> None:
    figure = draw(study)
    figure.savefig(tmp_path / "figure.png")  # lays it out
    frame = figure.bbox
    inside = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert inside.x0 >= frame.x0 - 1
    assert inside.x1 <= frame.x1 + 1
    assert inside.y0 >= frame.y0 - 1
    assert inside.y1 <= frame.y1 + 1
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_response_has_every_learned_trial_at_its_place(study: SweepFrame) -> None:
    left = response.figure(study).axes[0]
    drawn = {
        (round(float(x), 9), int(y))
        for dots in left.collections
        if isinstance(dots, PathCollection)
        for x, y in dots.get_offsets()  # type: ignore[union-attr]
    }
    assert drawn == {(round(10 ** (number / 4 - 2), 9), 1 + number % 5) for number in range(12)}
    assert left.get_xscale() == "log"


def test_a_trial_that_came_to_nothing_does_not_flatten_the_others() -> None:
    assert response.lowest_shown(pd.Series([95.0, 94.0, 91.0, 88.0, 10.0])) == 88.0
    assert response.lowest_shown(pd.Series([95.0, 94.0, 91.0, 88.0])) == 88.0
    assert response.lowest_shown(pd.Series([95.0])) == 95.0


def test_the_response_names_states_and_the_baselines_to_beat(study: SweepFrame) -> None:
    found = words(response.figure(study))
    for name in ("complete (7)", "pruned, where it stopped (4)", "failed (1)", "best one_hot", "best label_smoothing"):
        assert name in found


def test_learning_curves_show_the_best_learned_trials_and_each_baseline_at_its_best_and_longest(
    study: SweepFrame,
) -> None:
    axes = learning_curves.figure(study).axes[0]
    lines = {str(line.get_label()).split(":")[0]: line for line in axes.lines}
    assert list(lines) == [
        "learned, best",
        "learned, no. 2",
        "learned, no. 3",
        "one_hot, best",
        "one_hot, longest",
        "label_smoothing, best",
    ]
    best = study.best("learned").iloc[0]
    assert list(lines["learned, best"].get_ydata()) == pytest.approx(  # type: ignore[arg-type]
        list(100 * study.curve(int(best["trial"]), "val_accuracy")["value"])
    )
    assert list(lines["one_hot, longest"].get_xdata()) == list(range(1, 13))  # type: ignore[arg-type]


def test_correction_shows_every_learned_trial_and_no_baseline(study: SweepFrame) -> None:
    left, right = correction.figure(study).axes
    assert len(left.lines) == len(right.lines) == 12
    assert left.get_ylabel() == "wrong labels put right (%)"
    assert max(float(max(line.get_ydata())) for line in left.lines) <= 100  # type: ignore[arg-type]
    assert "one_hot" not in words(left.figure)  # type: ignore[arg-type]


def test_arms_differ_by_line_and_marker_and_not_by_colour_alone() -> None:
    pens = style.pens(["learned"], ["one_hot", "label_smoothing", "bootstrap", "other"])
    for one, other in combinations(pens.values(), 2):
        assert one.linestyle != other.linestyle or one.marker != other.marker
        assert to_rgb(one.color) != to_rgb(other.color)


def odd_sweeps() -> Iterable[tuple[str, list[Event], str]]:
    config = RunConfig(noise="symmetric", noise_rate=0.4, epochs=6)
    one_hot = config.model_copy(update={"method": "one_hot"})
    yield "no trials", [], "no learned trial was measured no trial ran to its end"
    yield "no noise", list(searched(noise=False)), "no label was made wrong in this sweep"
    yield "all pruned", list(trial(0, "learned", config, "pruned", 2)), "no trial ran to its end"
    yield "one trial", list(trial(0, "learned", config)), "complete (1)"
    yield "no learned arm", list(trial(0, "one_hot", one_hot)), "no learned trial was measured"
    yield "all failed at once", list(trial(0, "learned", config, "failed", 1))[::2], "no learned trial was measured"


@pytest.mark.parametrize(("records", "said"), [sweep[1:] for sweep in odd_sweeps()], ids=[s[0] for s in odd_sweeps()])
def test_an_odd_sweep_gets_figures_too_or_is_told_why_not(
    records: list[Event], said: str, runs: Path, store: str, tmp_path: Path
) -> None:
    sent(store, runs, iter(records))
    study = load({"TRACKING_URI": store})
    figures = [draw(study) for draw in (*FIGURES, *OTHERS)]
    for figure in figures:
        figure.savefig(tmp_path / "figure.png")
    found = " ".join(map(words, figures))
    for part in said.split("  "):
        assert all(word in found for word in part.split())
