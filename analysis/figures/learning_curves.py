"""Validation accuracy over the epochs: the best learned trials beside the best of each baseline.

Each line ends in a mark at its last epoch, whose accuracy is the one that the trial is judged by. Early stopping is
among what is tuned for the baselines, so that their best lines may be short; a thin line beside shows the longest trial
of the same baseline, and so what stopping saved. Epochs are on a log scale, as the short lines end among the first of
them.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import VALUE, SweepFrame
from harness.common.formatting import format_percent

N_BEST = 3  # learned trials shown
TICKS = [1, 2, 3, 5, 10, 20, 40, 100, 200, 400, 1000]
MARGIN = 4  # percentage points that the scale reaches below the lowest end of a line


def plots(sweep: SweepFrame) -> Plots:
    if all(sweep.best(arm).empty for arm in (*sweep.learned, *sweep.baselines)):
        return ["no trial ran to its end"]
    return [Plot(lambda axes: _draw(axes, sweep), height=3.9, legend_title="arm: accuracy at its last epoch")]


def _draw(axes: Axes, sweep: SweepFrame) -> None:
    for arm in sweep.learned:
        for rank, (_, trial) in enumerate(sweep.best(arm, N_BEST).iterrows()):
            name = f"{arm}, best" if rank == 0 else f"{arm}, no. {rank + 1}"
            _draw_curve(axes, sweep, trial, name, 1.8 - 0.45 * rank, 1 - 0.25 * rank)
    for arm in sweep.baselines:
        complete = sweep.best(arm, len(sweep.trials))
        for _, best in complete.head(1).iterrows():
            _draw_curve(axes, sweep, best, f"{arm}, best", 1.8, 1)
            longest = complete.sort_values("params.epochs", ascending=False, kind="stable").iloc[0]
            if longest["params.epochs"] > best["params.epochs"]:
                _draw_curve(axes, sweep, longest, f"{arm}, longest", 0.9, 0.8)
    axes.set_xscale("log")
    last = float(sweep.curves["step"].max())
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= last]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy (%)")
    lowest_end = min(float(np.asarray(line.get_ydata())[-1]) for line in axes.lines)
    axes.set_ylim(bottom=max(axes.get_ylim()[0], lowest_end - MARGIN))


def _draw_curve(axes: Axes, sweep: SweepFrame, trial: "pd.Series[Any]", name: str, width: float, alpha: float) -> None:
    """One curve with a mark at its end."""
    arm_style = style.arm_styles(sweep.learned, sweep.baselines)[str(trial["arm"])]
    curve = sweep.curve(int(trial["trial"]), "val_accuracy")
    axes.plot(
        curve["step"],
        100 * curve["value"],
        color=arm_style.color,
        linestyle=arm_style.linestyle,
        marker=arm_style.marker,
        markevery=[-1],
        markersize=3 + 1.3 * width,
        linewidth=width,
        alpha=alpha,
        label=f"{name}: {format_percent(trial[VALUE], 1)}",
        gid=style.trial_id([trial["trial"]]),
    )
