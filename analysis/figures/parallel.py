"""Every trial of an arm as a line over its searched parameters, to the accuracy of its last epoch.

One axis a parameter, over the range that the trials span, on a log scale where that is a decade; the last axis is the
accuracy. The best fifth of the complete trials stand out: where they run close together on an axis, its parameter
matters and is found; where they spread over it, it does not decide. A trial that was pruned or failed ends before the
last axis, as its accuracy is of an early epoch. The bar beside the last axis is what another draw of as many validation
images would give the best one, 95 times in 100: lines that end within it may differ by luck.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from analysis.figures import style
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval

OUTSTANDING = 5  # one in so many complete trials
FEWEST = 3  # that stand out, where there are as many
DECADE = 10.0
HALF = 0.13  # of the distance between two axes: how far around an axis it can be taken hold of
TEXT: dict[str, Any] = {"fontsize": "small", "va": "center", "ha": "right"}
HALO: dict[str, Any] = {"boxstyle": "round,pad=0.1", "linewidth": 0, "alpha": 0.7}


@dataclass(frozen=True)
class Scale:
    """One axis: where the value of each trial lies on it, as a share of its length (NaN: nowhere), and its ticks."""

    name: str
    places: NDArray[np.float64]
    ticks: list[tuple[float, str]]

    @classmethod
    def of(cls, name: str, column: "pd.Series[Any]") -> Self:
        if column.dtype.kind not in "iuf":  # names and truth values: evenly spaced
            codes, names = pd.factorize(column.astype(str), sort=True)
            last = max(len(names) - 1, 1)
            return cls(name, codes / last, [(place / last, str(each)) for place, each in enumerate(names)])
        values = column.to_numpy(dtype=np.float64)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if low > 0 and high / low >= DECADE:
            width = math.log(high / low)
            ticks = np.asarray(LogLocator(subs=(1, 2, 5) if high / low < DECADE**2 else (1,)).tick_values(low, high))
            return cls(name, np.log(values / low) / width, _within(np.log(ticks / low) / width, ticks))
        width = high - low or 1.0
        locator = MaxNLocator(5, steps=[1, 2, 5, 10], integer=column.dtype.kind in "iu")
        ticks = np.asarray(locator.tick_values(low, high))
        return cls(name, (values - low) / width, _within((ticks - low) / width, ticks))


def _within(places: NDArray[np.float64], values: NDArray[np.float64]) -> list[tuple[float, str]]:
    return [(float(p), f"{v:.3g}") for p, v in zip(places, values, strict=True) if -0.01 <= p <= 1.01]


def outstanding(study: SweepFrame, arm: str) -> list[int]:
    """The trials of the best fifth of the complete ones, the best first."""
    complete = study.best(arm, len(study.trials))
    return [int(trial) for trial in complete["trial"].head(max(FEWEST, math.ceil(len(complete) / OUTSTANDING)))]


def figure(study: SweepFrame) -> Figure:
    """The learned arms one under the other, or why there is nothing to show."""
    arms = study.learned or [""]
    drawn = Figure(figsize=(style.WIDTH, 3.1 * len(arms)))
    plots = drawn.subplots(len(arms), 1, squeeze=False)[:, 0]
    for arm, axes in zip(arms, plots, strict=True):
        if not drawable(study, arm):
            style.say(axes, f"fewer than two complete trials of {arm or 'learned labels'} to compare")
            continue
        _draw(axes, study, arm)
        if len(arms) > 1:
            axes.set_title(arm, pad=16)
        axes.legend(**_legend(axes), loc="lower center", bbox_to_anchor=(0.5, 1.02), ncols=2)
    return drawn


def panel(study: SweepFrame, arm: str) -> Figure | None:
    """The lines of one arm; None where there is nothing to compare."""
    if not drawable(study, arm):
        return None
    drawn, axes = style.panel(3.9)
    _draw(axes, study, arm)
    drawn.legend(**_legend(axes), loc="outside upper center", ncols=1)
    return drawn


def drawable(study: SweepFrame, arm: str) -> bool:
    """Whether `arm` searched anything, and has two complete trials to compare."""
    return bool(study.varied(arm)) and len(study.best(arm, 2)) == 2


def _draw(axes: Axes, study: SweepFrame, arm: str) -> None:
    rows = study.trials[study.trials["arm"] == arm].reset_index(drop=True)
    complete = rows["state"] == "complete"
    accuracy = 100 * rows[VALUE].where(complete)
    scales = [Scale.of(name, rows[f"params.{name}"]) for name in study.varied(arm)]
    scales.append(Scale.of("val_accuracy", accuracy))
    ends = scales[-1].places
    best = outstanding(study, arm)
    for place, trial in enumerate(rows["trial"]):
        track = np.array([scale.places[place] for scale in scales])
        reach = len(track) if math.isfinite(ends[place]) else len(track) - 1
        pen = _pen(int(trial) in best, bool(complete[place]))
        axes.plot(range(reach), track[:reach], gid=style.marks([trial]), **pen)
    for place, scale in enumerate(scales):
        _draw_axis(axes, place, scale)
    top = rows.loc[rows["trial"] == best[0]].iloc[0]
    low, high = (100 * bound for bound in interval(float(top[VALUE]), study.images(top)))
    worst, width = float(accuracy.min()), float(accuracy.max() - accuracy.min()) or 1.0
    edges = [(bound - worst) / width for bound in (low, high)]
    axes.plot([len(scales) - 0.87] * 2, edges, color="0.3", linewidth=1.6, clip_on=False, label="the best one's 95 %")
    axes.set_xlim(-0.35, len(scales) - 0.8)
    axes.set_ylim(-0.04, max(1.04, edges[1] + 0.02))
    names = [scale.name for scale in scales[:-1]]
    axes.set_xticks(range(len(scales)), [*names, "val. accuracy (%)"])
    axes.tick_params(axis="x", length=0, pad=4)
    axes.set_yticks([])
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _pen(best: bool, complete: bool) -> dict[str, Any]:
    if best:
        return {"color": style.BLUE, "linewidth": 1.7, "zorder": 3, "label": "best"}
    if complete:
        return {"color": "0.55", "linewidth": 0.8, "zorder": 2, "label": "complete"}
    return {"color": "0.75", "linewidth": 0.8, "zorder": 1, "linestyle": (0, (1.5, 1.5)), "label": "stopped"}


def _draw_axis(axes: Axes, place: int, scale: Scale) -> None:
    axes.plot([place, place], [0, 1], color="0.15", linewidth=1, zorder=4)
    ground = axes.get_facecolor()
    halo = {**HALO, "facecolor": ground} if to_rgba(ground)[3] else None  # on a page the text has its own
    for height, text in scale.ticks:
        axes.plot([place - 0.02, place], [height] * 2, color="0.15", linewidth=1, zorder=4)
        axes.text(place - 0.04, height, text, zorder=5, bbox=halo, **TEXT)
    hold = Rectangle((place - HALF, -0.02), 2 * HALF, 1.04, facecolor="none", edgecolor="none", zorder=6)
    hold.set_gid(f"axis-{place}")
    axes.add_patch(hold)


def _legend(axes: Axes) -> dict[str, Any]:
    """One entry a kind of line, in words."""
    words = {
        "best": "the best fifth of the complete trials",
        "complete": "other complete trials",
        "stopped": "pruned or failed: without a last epoch",
        "the best one's 95 %": "95 % interval of the best one",
    }
    lines: dict[str, Line2D] = {str(line.get_label()): line for line in axes.lines}
    kinds = [kind for kind in words if kind in lines]
    return {"handles": [lines[kind] for kind in kinds], "labels": [words[kind] for kind in kinds]}
