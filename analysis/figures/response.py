"""Response of validation accuracy to label_lr and meta_interval, the two main hyperparameters of learned labels.

Left, each learned trial at its label_lr and meta_interval, shaded by the accuracy of its last epoch. Right, the same
trials against label_lr alone, shaded by meta_interval, with the best trial of each baseline as a line. A trial that was
pruned is a small triangle: its last epoch is an early one, so that its accuracy does not compare with the others'. Bars
and bands are 95 % intervals over the draw of the validation images.
"""

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval

OUTLIER_FACTOR = 5  # the scale reaches this many times as far below the best as the median lies
MARKERS = {"complete": ("o", 42), "pruned": ("^", 22)}
INTERVAL_TICKS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)  # apart enough on a log scale
COLOR_BAR: dict[str, Any] = {"pad": 0.02, "aspect": 28}
EDGE: dict[str, Any] = {"edgecolors": "0.15", "linewidths": 0.6}


def points(sweep: SweepFrame) -> pd.DataFrame:
    """A row per learned trial: trial, state, label_lr, meta_interval, accuracy (percent), images it was measured on."""
    learned = sweep.trials[sweep.trials["arm"].isin(sweep.learned)]
    if learned.empty:
        return pd.DataFrame(columns=["trial", "state", "label_lr", "meta_interval", "accuracy", "images"])
    return pd.DataFrame(
        {
            "trial": learned["trial"],
            "state": learned["state"],
            "label_lr": learned["params.label_lr"].astype(float),
            "meta_interval": learned["params.meta_interval"].astype(int),
            "accuracy": 100 * learned[VALUE].astype(float),
            "images": learned["params.val_size"].astype(int) * sweep.seeds_per_trial,
        }
    ).reset_index(drop=True)


def plots(sweep: SweepFrame) -> Plots:
    rows = points(sweep)
    measured = rows[rows["accuracy"].notna() & rows["state"].isin(list(MARKERS))]
    if measured.empty:
        return ["no learned trial was measured"]
    failed = rows[rows["state"] == "failed"]
    return [
        Plot(lambda axes: _draw_both_parameters(axes, measured, failed)),
        Plot(lambda axes: _draw_label_rate(axes, sweep, measured)),
    ]


def lowest_shown(accuracy: "pd.Series[float]") -> float:
    """Where the scale of accuracies begins: the lowest value that is not far below the others."""
    best = accuracy.max()
    return float(accuracy[accuracy >= best - OUTLIER_FACTOR * (best - accuracy.median())].min())


def label_rate_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("label learning rate")


def interval_ticks(axis: Axis, lowest: float, highest: float) -> None:
    """Ticks of meta_interval on a log scale."""
    axis.set_major_locator(FixedLocator([k for k in INTERVAL_TICKS if lowest <= k <= highest]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(ScalarFormatter())


def _draw_both_parameters(axes: Axes, measured: pd.DataFrame, failed: pd.DataFrame) -> None:
    lowest = lowest_shown(measured["accuracy"])
    norm = Normalize(lowest, max(float(measured["accuracy"].max()), lowest + 0.1))
    for state, rows in _by_state(measured):
        label = f"{state} ({len(rows)})"
        _scatter(axes, state, rows, "meta_interval", c=rows["accuracy"], norm=norm, label=label)
    if len(failed):
        axes.scatter(
            failed["label_lr"],
            failed["meta_interval"],
            marker="x",
            color="0.15",
            s=22,
            label=f"failed ({len(failed)})",
            gid=style.trial_id(failed["trial"]),
        )
    axes.set_ylabel("meta-interval (model steps per label update)")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _color_bar(axes, norm, "validation accuracy, last epoch (%)", extend="min")
    _label_rate_limits(axes, measured["label_lr"])


def _draw_label_rate(axes: Axes, sweep: SweepFrame, measured: pd.DataFrame) -> None:
    shortest, longest = int(measured["meta_interval"].min()), int(measured["meta_interval"].max())
    norm = LogNorm(shortest, max(longest, shortest + 1))
    lowest, highest = lowest_shown(measured["accuracy"]), float(measured["accuracy"].max())
    for state, rows in _by_state(measured[measured["accuracy"] >= lowest]):
        _scatter(axes, state, rows, "accuracy", c=rows["meta_interval"], norm=norm, zorder=3)
    for _, row in measured[measured["state"] == "complete"].iterrows():
        low, high = interval(row["accuracy"] / 100, int(row["images"]))
        axes.vlines(row["label_lr"], 100 * low, 100 * high, color="0.55", linewidth=0.8, zorder=1)
    styles = style.arm_styles(sweep.learned, sweep.baselines)
    for arm in sweep.baselines:
        for _, best in sweep.best(arm).iterrows():
            low, high = interval(best[VALUE], sweep.images(best))
            color, linestyle = styles[arm].color, styles[arm].linestyle
            axes.axhspan(100 * low, 100 * high, color=color, alpha=0.1, linewidth=0, zorder=0)
            axes.axhline(100 * best[VALUE], color=color, linestyle=linestyle, label=f"best {arm}", zorder=2)
            highest = max(highest, 100 * best[VALUE], 100 * high)
    margin = 0.06 * max(highest - lowest, 1.0)
    axes.set_ylim(lowest - 2 * margin, highest + margin)
    below = measured[measured["accuracy"] < lowest]
    if len(below):
        heights = [lowest - 1.3 * margin] * len(below)
        label = f"below the scale ({len(below)})"
        axes.scatter(below["label_lr"], heights, marker="v", s=16, facecolors="none", edgecolors="0.4", label=label)
    axes.set_ylabel("validation accuracy, last epoch (%)")
    bar = _color_bar(axes, norm, "meta-interval (model steps)")
    interval_ticks(bar.ax.yaxis, shortest, longest)
    _label_rate_limits(axes, measured["label_lr"])


def _by_state(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """States that have trials, with their rows."""
    return [(state, rows[rows["state"] == state]) for state in MARKERS if (rows["state"] == state).any()]


def _scatter(axes: Axes, state: str, rows: pd.DataFrame, y: str, **options: Any) -> None:
    marker, size = MARKERS[state]
    gid = style.trial_id(rows["trial"])
    axes.scatter(rows["label_lr"], rows[y], size, marker=marker, cmap=style.COLOR_MAP, gid=gid, **EDGE, **options)


def _color_bar(axes: Axes, norm: Normalize, label: str, **options: Any) -> Any:
    shades = ScalarMappable(norm, style.COLOR_MAP)
    return axes.get_figure().colorbar(shades, ax=axes, label=label, **COLOR_BAR, **options)  # type: ignore[union-attr]


def _label_rate_limits(axes: Axes, rates: "pd.Series[float]") -> None:
    """A log scale of at least a decade and a half, so that it has ticks to read by."""
    low, high = rates.min() / 1.4, rates.max() * 1.4
    factor = max(1.0, math.sqrt(30 * low / high))
    label_rate_axis(axes)
    axes.set_xlim(low / factor, high * factor)
