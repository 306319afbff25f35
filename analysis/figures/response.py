"""How validation accuracy answers to label_lr and meta_interval, the two knobs that the method hangs on.

Left, each learned trial at its place, shaded by the accuracy of its last epoch. Right, the same trials against
label_lr alone, shaded by meta_interval, with the best trial of each baseline as a line to beat. A trial that was
pruned is a small triangle: its last epoch is an early one, so that its accuracy is no equal of the others'. Bars
and bands are what another draw of as many validation images would give 95 times in 100.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from analysis.figures import style
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval

REACH = 5  # the scale reaches so many times as far below the best as the median lies: what diverged is off it
DOTS = {"complete": ("o", 42), "pruned": ("^", 22)}
INTERVALS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)  # ticks that stay apart on a log scale
NOTHING = "no learned trial was measured"
BAR: dict[str, Any] = {"pad": 0.02, "aspect": 28, "drawedges": False}
EDGE: dict[str, Any] = {"edgecolors": "0.15", "linewidths": 0.6}


def points(study: SweepFrame) -> pd.DataFrame:
    """A row for each learned trial: trial, state, label_lr, meta_interval, accuracy (a fraction), images behind it."""
    chosen = study.trials[study.trials["arm"].isin(study.learned)]
    return pd.DataFrame(
        {
            "trial": chosen["trial"],
            "state": chosen["state"],
            "label_lr": chosen["params.label_lr"].astype(float),
            "meta_interval": chosen["params.meta_interval"].astype(int),
            "accuracy": chosen[VALUE].astype(float),
            "images": chosen["params.val_size"].astype(int) * study.seeds_per_trial,
        }
    ).reset_index(drop=True)


def figure(study: SweepFrame) -> Figure:
    """Both plots side by side."""
    drawn = Figure(figsize=(style.WIDTH, 3.3))
    left, right = drawn.subplots(1, 2)
    rows = _Rows.of(study)
    if rows.measured.empty:
        style.say(left, NOTHING)
        right.set_axis_off()
        return drawn
    _places(drawn, left, rows)
    _accuracies(drawn, right, study, rows)
    _legend(drawn, left, right)
    return drawn


def panels(study: SweepFrame) -> list[Figure]:
    """The two plots, each a picture of its own; none where no learned trial was measured."""
    rows = _Rows.of(study)
    if rows.measured.empty:
        return []
    (first, left), (second, right) = style.panel(), style.panel()
    _places(first, left, rows)
    _legend(first, left, columns=2)
    _accuracies(second, right, study, rows)
    _legend(second, right, columns=2)
    return [first, second]


@dataclass(frozen=True)
class _Rows:
    """The learned trials that have an accuracy, those that failed, and where the scale begins (percent)."""

    measured: pd.DataFrame
    failed: pd.DataFrame
    floor: float

    @classmethod
    def of(cls, study: SweepFrame) -> Self:
        rows = points(study) if study.learned else pd.DataFrame()
        if rows.empty:
            return cls(rows, rows, 0.0)
        measured = rows[rows["accuracy"].notna() & rows["state"].isin(list(DOTS))]
        floor = lowest_shown(100 * measured["accuracy"]) if len(measured) else 0.0
        return cls(measured, rows[rows["state"] == "failed"], floor)


def _places(drawn: Figure, axes: Axes, rows: _Rows) -> None:
    shades = _draw_places(axes, rows.measured, rows.failed, rows.floor)
    drawn.colorbar(shades, ax=axes, extend="min", label="validation accuracy, last epoch (%)", **BAR)
    _label_rate_axis(axes, rows.measured["label_lr"])


def _accuracies(drawn: Figure, axes: Axes, study: SweepFrame, rows: _Rows) -> None:
    intervals = _draw_accuracies(axes, study, rows.measured, rows.floor)
    bar = drawn.colorbar(intervals, ax=axes, label="meta-interval (model steps)", **BAR)
    fewest, most = rows.measured["meta_interval"].min(), rows.measured["meta_interval"].max()
    bar.set_ticks([k for k in INTERVALS if fewest <= k <= most], minor=False)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    _label_rate_axis(axes, rows.measured["label_lr"])


def _legend(drawn: Figure, *plots: Axes, columns: int = 3) -> None:
    pairs = [pair for axes in plots for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    if pairs:
        drawn.legend(*zip(*pairs, strict=True), loc="outside upper center", ncols=columns, columnspacing=1.5)


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
        axes.scatter(
            rows["label_lr"],
            rows["meta_interval"],
            marker=marker,
            s=size,
            label=label,
            gid=style.marks(rows["trial"]),
            **shades,
            **EDGE,
        )
    if len(failed):
        label = f"failed ({len(failed)})"
        places = (failed["label_lr"], failed["meta_interval"])
        axes.scatter(*places, marker="x", color="0.15", s=22, label=label, gid=style.marks(failed["trial"]))
    axes.set_ylabel("meta-interval (model steps per label update)")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return ScalarMappable(norm, style.MAP)


def _draw_accuracies(axes: Axes, study: SweepFrame, measured: pd.DataFrame, floor: float) -> ScalarMappable:
    fewest, most = int(measured["meta_interval"].min()), int(measured["meta_interval"].max())
    norm = LogNorm(fewest, max(most, fewest + 1))
    for state, (marker, size) in DOTS.items():
        rows = measured[(measured["state"] == state) & (100 * measured["accuracy"] >= floor)]
        shades: dict[str, Any] = {"c": rows["meta_interval"], "norm": norm, "cmap": style.MAP}
        axes.scatter(
            rows["label_lr"],
            100 * rows["accuracy"],
            marker=marker,
            s=size,
            zorder=3,
            gid=style.marks(rows["trial"]),
            **shades,
            **EDGE,
        )
    for _, row in measured[measured["state"] == "complete"].iterrows():
        low, high = interval(row["accuracy"], int(row["images"]))
        axes.vlines(row["label_lr"], 100 * low, 100 * high, color="0.55", linewidth=0.8, zorder=1)
    tops = [100 * float(measured["accuracy"].max())]
    pens = style.pens(study.learned, study.baselines)
    for arm in study.baselines:
        best = study.best(arm)
        if len(best):
            winner = best.iloc[0]
            low, high = interval(winner[VALUE], study.images(winner))
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
