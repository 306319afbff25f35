"""Parallel coordinates: a line per trial, each at its own values, and scales that a person can read."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.figures import parallel_coordinates, style
from analysis.figures.parallel_coordinates import Scale, best_fifth
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval


def test_a_scale_spans_its_values_and_is_logarithmic_over_a_decade() -> None:
    linear = Scale.of("epochs", pd.Series([2, 4, 10]))
    assert list(linear.positions) == pytest.approx([0, 0.25, 1])
    log = Scale.of("lr", pd.Series([0.01, 0.1, 1.0]))
    assert list(log.positions) == pytest.approx([0, 0.5, 1])
    assert [text for _, text in log.ticks] == ["0.01", "0.1", "1"]
    for scale in (linear, log):
        assert all(-0.01 <= position <= 1.01 for position, _ in scale.ticks)
        assert len(scale.ticks) >= 3


def test_names_are_spaced_evenly_and_a_missing_value_has_no_position() -> None:
    names = Scale.of("optimizer", pd.Series(["sgd", "adam", "adamw"]))
    assert dict(map(reversed, names.ticks)) == {"adam": 0, "adamw": 0.5, "sgd": 1}  # type: ignore[arg-type]
    assert list(names.positions) == [1, 0, 0.5]
    assert np.isnan(Scale.of("lr", pd.Series([0.01, np.nan, 0.02])).positions[1])


def test_every_trial_is_a_line_and_those_without_a_last_epoch_end_before_it(sweep: SweepFrame) -> None:
    axes = style.figure_by_arm(parallel_coordinates.plots(sweep)).axes[0]
    lines = {str(line.get_gid()): line for line in axes.lines if str(line.get_gid()).startswith("trials-")}
    assert set(lines) == {f"trials-{number}" for number in range(12)}
    complete = set(sweep.best("learned", 99)["trial"])
    for number in range(12):
        assert len(np.asarray(lines[f"trials-{number}"].get_xdata())) == (3 if number in complete else 2)
    best = np.asarray(lines[f"trials-{sweep.best('learned').iloc[0]['trial']}"].get_ydata())
    assert best[-1] == pytest.approx(1)
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["label_lr", "meta_interval", "val. accuracy (%)"]


def test_the_best_fifth_stand_out_and_three_where_there_are_few(sweep: SweepFrame) -> None:
    assert best_fifth(sweep, "learned") == list(sweep.best("learned", 3)["trial"])


@pytest.mark.parametrize("accuracy", [1.0, 0.9, 0.0])
def test_a_figure_of_equal_accuracies_keeps_its_layout(sweep: SweepFrame, accuracy: float) -> None:
    """Matplotlib warns where its layout does not fit, and warnings are errors."""
    trials = sweep.trials.assign(**{VALUE: accuracy})
    (figure,) = style.panels(parallel_coordinates.plots(replace(sweep, trials=trials))["learned"])
    assert isinstance(figure, Figure)
    figure.savefig(io.BytesIO(), format="svg")
    assert figure.axes[0].get_ylim()[1] < 1.3


def test_intervals_of_shares_end_at_zero_and_one() -> None:
    for images in range(1, 400):
        assert interval(1.0, images)[1] <= 1
        assert interval(0.0, images)[0] >= 0
