"""Validation accuracy over the epochs: the best few learned trials beside the best of each baseline.

Each line ends in a mark at its last epoch, whose accuracy is the one that the trial is judged by. Early stopping
is among what is tuned for the baselines, so that their best lines may be short; a thin line beside shows the longest
trial of the same baseline, and so what stopping saved. Epochs are on a log scale, as the short lines end among the
first of them.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from analysis.figures import style
from analysis.frames.sweep_frame import VALUE, SweepFrame

FEW = 3  # learned trials shown
TICKS = [1, 2, 3, 5, 10, 20, 40, 100, 200, 400, 1000]
LEGEND = "arm: accuracy at its last epoch"
HANDLES = {"handlelength": 3}
MARGIN = 4  # percentage points that the scale reaches below the lowest end of a line


def figure(study: SweepFrame, few: int = FEW) -> Figure:
    """The curves with their legend beside them."""
    drawn = Figure(figsize=(style.WIDTH, 3.3))
    axes = drawn.subplots()
    if _draw_all(axes, study, few):
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title=LEGEND, **HANDLES)
    return drawn


def panel(study: SweepFrame, few: int = FEW) -> Figure:
    """The same in a picture that a phone can show, the legend above."""
    drawn, axes = style.panel(3.9)
    if _draw_all(axes, study, few):
        handles, labels = axes.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", title=LEGEND, ncols=2, columnspacing=1, **HANDLES)
    return drawn


def _draw_all(axes: Axes, study: SweepFrame, few: int) -> bool:
    """Draws every curve; returns whether there was any."""
    pens = style.pens(study.learned, study.baselines)
    ends: list[float] = []
    for arm in study.learned:
        for rank, (_, trial) in enumerate(study.best(arm, few).iterrows()):
            name = f"{arm}, best" if rank == 0 else f"{arm}, no. {rank + 1}"
            ends.append(_draw(axes, study, trial, pens[arm], name, 1.8 - 0.45 * rank, 1 - 0.25 * rank))
    for arm in study.baselines:
        for _, trial in study.best(arm).iterrows():
            ends.append(_draw(axes, study, trial, pens[arm], f"{arm}, best", 1.8, 1))
            longest = longest_of(study, arm)
            if longest["params.epochs"] > trial["params.epochs"]:
                ends.append(_draw(axes, study, longest, pens[arm], f"{arm}, longest", 0.9, 0.8))
    if not ends:
        style.say(axes, "no trial ran to its end")
        return False
    axes.set_xscale("log")
    last = float(study.curves["step"].max())
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= last]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy (%)")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], min(ends) - MARGIN))
    return True


def longest_of(study: SweepFrame, arm: str) -> "pd.Series[object]":
    """The complete trial of `arm` with the most epochs; of equals the best."""
    return study.best(arm, len(study.trials)).sort_values("params.epochs", ascending=False, kind="stable").iloc[0]


def _draw(
    axes: Axes, study: SweepFrame, trial: "pd.Series[object]", pen: style.Pen, name: str, width: float, alpha: float
) -> float:
    """Draws one curve with a mark at its end; returns its last value in percent."""
    curve = study.curve(int(str(trial["trial"])), "val_accuracy")
    end = 100 * float(str(trial[VALUE]))
    axes.plot(
        curve["step"],
        100 * curve["value"],
        color=pen.color,
        linestyle=pen.linestyle,
        marker=pen.marker,
        markevery=[-1],
        markersize=3 + 1.3 * width,
        linewidth=width,
        alpha=alpha,
        label=f"{name}: {end:.1f} %",
        gid=style.marks([trial["trial"]]),
    )
    return end
