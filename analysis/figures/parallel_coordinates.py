"""Parallel coordinates: every trial of an arm as a line over its searched parameters, to its accuracy.

One axis per parameter, over the range that the trials span, on a log scale where that is a decade; the last axis is the
accuracy of the last epoch. The best fifth of the complete trials stand out: where they lie close together on an axis,
its parameter matters; where they spread over the axis, it does not. A trial that was pruned or failed ends before the
last axis, as its accuracy is of an early epoch. The bar beside the last axis is the 95 % interval of the best trial
over the draw of the validation images: differences between lines that end within it may be chance.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval
from harness.common.formatting import format_setting

MIN_BEST = 3  # that stand out, where there are as many
DECADE = 10.0
GRIP = 0.13  # of the distance between two axes: how far from an axis it can be dragged
BEYOND = 0.2  # of an axis: how far the bar of the interval may reach beyond it
TEXT: dict[str, Any] = {"fontsize": "small", "va": "center", "ha": "right"}
HALO: dict[str, Any] = {"boxstyle": "round,pad=0.1", "linewidth": 0, "alpha": 0.7}
LINES: dict[str, dict[str, Any]] = {
    "the best fifth of the complete trials": {"color": style.BLUE, "linewidth": 1.7, "zorder": 3},
    "other complete trials": {"color": "0.55", "linewidth": 0.8, "zorder": 2},
    "pruned or failed: without a last epoch": {
        "color": "0.75", "linewidth": 0.8, "zorder": 1, "linestyle": (0, (1.5, 1.5)),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """One axis: the position of each trial on it in [0, 1] (NaN: no value), and its ticks."""

    name: str
    positions: NDArray[np.float64]
    ticks: list[tuple[float, str]]

    @classmethod
    def of(cls, name: str, column: "pd.Series[Any]") -> Self:
        if column.dtype.kind not in "iuf":  # names and truth values: evenly spaced
            codes, names = pd.factorize(column.astype(str), sort=True)
            last = max(len(names) - 1, 1)
            return cls(name, codes / last, [(k / last, str(value)) for k, value in enumerate(names)])
        values = column.to_numpy(dtype=np.float64)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if low > 0 and high / low >= DECADE:
            width = math.log(high / low)
            ticks = np.asarray(LogLocator(subs=(1, 2, 5) if high / low < DECADE**2 else (1,)).tick_values(low, high))
            return cls(name, np.log(values / low) / width, _visible_ticks(np.log(ticks / low) / width, ticks))
        width = high - low or 1.0
        locator = MaxNLocator(5, steps=[1, 2, 5, 10], integer=column.dtype.kind in "iu")
        ticks = np.asarray(locator.tick_values(low, high))
        return cls(name, (values - low) / width, _visible_ticks((ticks - low) / width, ticks))


def _visible_ticks(positions: NDArray[np.float64], values: NDArray[np.float64]) -> list[tuple[float, str]]:
    ticks = zip(positions, values, strict=True)
    return [(float(position), format_setting(float(value))) for position, value in ticks if -0.01 <= position <= 1.01]


def best_fifth(sweep: SweepFrame, arm: str) -> list[int]:
    """The trials of the best fifth of the complete ones, the best first."""
    complete = sweep.best(arm, len(sweep.trials))
    return [int(trial) for trial in complete["trial"].head(max(MIN_BEST, math.ceil(len(complete) / 5)))]


def plots(sweep: SweepFrame) -> dict[str, Plots]:
    """By learned arm."""
    return {arm: _plots_of_arm(sweep, arm) for arm in sweep.learned} or {"": _plots_of_arm(sweep, "")}


def _plots_of_arm(sweep: SweepFrame, arm: str) -> Plots:
    if not sweep.varied(arm) or len(sweep.best(arm, 2)) < 2:
        return [f"fewer than two complete trials of {arm or 'learned labels'} to compare"]
    return [Plot(lambda axes: _draw(axes, sweep, arm), height=3.9, legend_columns=1)]


def _draw(axes: Axes, sweep: SweepFrame, arm: str) -> None:
    rows = sweep.trials[sweep.trials["arm"] == arm].reset_index(drop=True)
    complete = rows["state"] == "complete"
    accuracy = 100 * rows[VALUE].where(complete)
    scales = [Scale.of(name, rows[f"params.{name}"]) for name in sweep.varied(arm)]
    scales.append(Scale.of("val. accuracy (%)", accuracy))
    best = best_fifth(sweep, arm)
    groups = [rows["trial"].isin(best), complete & ~rows["trial"].isin(best), ~complete]
    for (label, options), group in zip(LINES.items(), groups, strict=True):
        for i in rows.index[group]:
            positions = np.array([scale.positions[i] for scale in scales])
            if math.isnan(positions[-1]):
                positions = positions[:-1]
            axes.plot(range(len(positions)), positions, gid=style.trial_id([rows["trial"][i]]), label=label, **options)
    for x, scale in enumerate(scales):
        _draw_axis(axes, x, scale)
    winner = rows.loc[rows["trial"] == best[0]].iloc[0]
    lowest, width = float(accuracy.min()), float(accuracy.max() - accuracy.min()) or 1.0
    ends = [(100 * end - lowest) / width for end in interval(float(winner[VALUE]), sweep.images(winner))]
    ends = [min(max(end, -BEYOND), 1 + BEYOND) for end in ends]  # where accuracies lie close together, it ends far away
    label = "95 % interval of the best one"
    axes.plot([len(scales) - 0.87] * 2, ends, color="0.3", linewidth=1.6, clip_on=False, label=label)
    axes.set_xlim(-0.35, len(scales) - 0.8)
    axes.set_ylim(-0.04, max(1.04, ends[1] + 0.02))
    axes.set_xticks(range(len(scales)), [scale.name for scale in scales])
    axes.tick_params(axis="x", length=0, pad=4)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)


def _draw_axis(axes: Axes, x: int, scale: Scale) -> None:
    axes.plot([x, x], [0, 1], color="0.15", linewidth=1, zorder=4)
    background = axes.get_facecolor()
    halo = {**HALO, "facecolor": background} if to_rgba(background)[3] else None  # on a page the text has its own
    for height, text in scale.ticks:
        axes.plot([x - 0.02, x], [height] * 2, color="0.15", linewidth=1, zorder=4)
        axes.text(x - 0.04, height, text, zorder=5, bbox=halo, **TEXT)
    grip = Rectangle((x - GRIP, -0.02), 2 * GRIP, 1.04, facecolor="none", edgecolor="none", zorder=6)
    grip.set_gid(f"axis-{x}")
    axes.add_patch(grip)
