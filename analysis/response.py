"""How validation accuracy answers to label_lr and meta_interval, the two knobs that the method hangs on.

Left, each learned trial at its place, shaded by the accuracy of its last epoch. Right, the same trials against
label_lr alone, shaded by meta_interval, with the best trial of each baseline as a line to beat. A trial that was
pruned is a small triangle: its last epoch is an early one, so that its accuracy is no equal of the others'. Bars
and bands are what another draw of as many validation images would give 95 times in 100.
"""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from analysis import style
from analysis.study import VALUE, Study, interval

REACH = 5  # the scale reaches so many times as far below the best as the median lies: what diverged is off it
DOTS = {"complete": ("o", 42), "pruned": ("^", 22)}
INTERVALS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)  # ticks that stay apart on a log scale
BAR: dict[str, Any] = {"pad": 0.02, "aspect": 28, "drawedges": False}
EDGE: dict[str, Any] = {"edgecolors": "0.15", "linewidths": 0.6}


def points(study: Study) -> pd.DataFrame:
    """A row for each learned trial: trial, state, label_lr, meta_interval, accuracy (a fraction), images behind it."""
    chosen = study.trials[study.trials["arm"].isin(study.learned)]
    return pd.DataFrame(
        {
            "trial": chosen["trial"],
            "state": chosen["state"],
            "label_lr": chosen["params.label_lr"].astype(float),
            "meta_interval": chosen["params.meta_interval"].astype(int),
            "accuracy": chosen[VALUE].astype(float),
            "images": chosen["params.val_size"].astype(int),
        }
    ).reset_index(drop=True)


def figure(study: Study) -> Figure:
    drawn = Figure(figsize=(style.WIDTH, 3.3))
    left, right = drawn.subplots(1, 2)
    rows = points(study) if study.learned else pd.DataFrame()
    measured = rows[rows["accuracy"].notna() & rows["state"].isin(list(DOTS))] if len(rows) else rows
    if measured.empty:
        style.say(left, "no learned trial was measured")
        right.set_axis_off()
        return drawn
    floor = lowest_shown(100 * measured["accuracy"])
    accuracies = _draw_places(left, measured, rows[rows["state"] == "failed"], floor)
    drawn.colorbar(accuracies, ax=left, extend="min", label="validation accuracy, last epoch (%)", **BAR)
    intervals = _draw_accuracies(right, study, measured, floor)
    bar = drawn.colorbar(intervals, ax=right, label="meta-interval (model steps)", **BAR)
    most = measured["meta_interval"].max()
    bar.set_ticks([k for k in INTERVALS if measured["meta_interval"].min() <= k <= most], minor=False)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    for axes in (left, right):
        _label_rate_axis(axes, measured["label_lr"])
    pairs = [pair for axes in (left, right) for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    drawn.legend(*zip(*pairs, strict=True), loc="outside upper center", ncols=3, columnspacing=1.5)
    return drawn


def lowest_shown(percent: "pd.Series[float]") -> float:
    """Where the scale of accuracies begins: the lowest value that is not far below the others."""
    best = percent.max()
    return float(percent[percent >= best - REACH * (best - percent.median())].min())


def _label_rate_axis(axes: Axes, rates: "pd.Series[float]") -> None:
    """A log scale of at least a decade and a half, so that it has ticks to read by."""
    low, high = rates.min() / 1.4, rates.max() * 1.4
    wider = max(1.0, math.sqrt(30 * low / high))
    axes.set_xscale("log")
    axes.set_xlim(low / wider, high * wider)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("label learning rate")


def _draw_places(axes: Axes, measured: pd.DataFrame, failed: pd.DataFrame, floor: float) -> ScalarMappable:
    norm = Normalize(floor, max(100 * float(measured["accuracy"].max()), floor + 0.1))
    for state, (marker, size) in DOTS.items():
        rows = measured[measured["state"] == state]
        shades: dict[str, Any] = {"c": 100 * rows["accuracy"], "norm": norm, "cmap": style.MAP}
        label = f"{state}{', where it stopped' if state == 'pruned' else ''} ({len(rows)})"
        axes.scatter(rows["label_lr"], rows["meta_interval"], marker=marker, s=size, label=label, **shades, **EDGE)
    if len(failed):
        label = f"failed ({len(failed)})"
        axes.scatter(failed["label_lr"], failed["meta_interval"], marker="x", color="0.15", s=22, label=label)
    axes.set_ylabel("meta-interval (model steps per label update)")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return ScalarMappable(norm, style.MAP)


def _draw_accuracies(axes: Axes, study: Study, measured: pd.DataFrame, floor: float) -> ScalarMappable:
    fewest, most = int(measured["meta_interval"].min()), int(measured["meta_interval"].max())
    norm = LogNorm(fewest, max(most, fewest + 1))
    for state, (marker, size) in DOTS.items():
        rows = measured[(measured["state"] == state) & (100 * measured["accuracy"] >= floor)]
        shades: dict[str, Any] = {"c": rows["meta_interval"], "norm": norm, "cmap": style.MAP}
        axes.scatter(rows["label_lr"], 100 * rows["accuracy"], marker=marker, s=size, zorder=3, **shades, **EDGE)
    for _, row in measured[measured["state"] == "complete"].iterrows():
        low, high = interval(row["accuracy"], int(row["images"]))
        axes.vlines(row["label_lr"], 100 * low, 100 * high, color="0.55", linewidth=0.8, zorder=1)
    tops = [100 * float(measured["accuracy"].max())]
    pens = style.pens(study.learned, study.baselines)
    for arm in study.baselines:
        best = study.best(arm)
        if len(best):
            winner = best.iloc[0]
            low, high = interval(winner[VALUE], int(winner["params.val_size"]))
            axes.axhspan(100 * low, 100 * high, color=pens[arm].color, alpha=0.1, linewidth=0, zorder=0)
            tops += [100 * winner[VALUE], 100 * high]
            axes.axhline(
                100 * winner[VALUE], color=pens[arm].color, linestyle=pens[arm].linestyle, label=f"best {arm}", zorder=2
            )
    room = 0.06 * max(max(tops) - floor, 1.0)
    axes.set_ylim(floor - 2 * room, max(tops) + room)
    below = measured[100 * measured["accuracy"] < floor]
    if len(below):
        bottom = [floor - 1.3 * room] * len(below)
        label = f"below the scale ({len(below)})"
        axes.scatter(below["label_lr"], bottom, marker="v", s=16, facecolors="none", edgecolors="0.4", label=label)
    axes.set_ylabel("validation accuracy, last epoch (%)")
    return ScalarMappable(norm, style.MAP)
