"""What became of every label: when the wrong ones were put right, and of which classes they were.

By their largest entry, of the labels that noise made wrong:

    put right    the true class          as given    the class that noise gave         elsewhere    a third one

and of those that were right, lost: any other than the true class. A label is put right for good at the first snapshot
from which on it stays so to the end. Snapshots lie some epochs apart: that is how well the epoch is known.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.labels.mistakes import NOTHING
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import interval

LABEL_HISTORY = ["epoch", "put_right", "elsewhere", "as_given", "lost"]
UNKNOWN = "the course of the labels was not kept (no label_history.npz); their end is in the other plot"
EACH_END = 10  # classes shown at either end where there are more than twice as many
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "put_right": ("put right", {"facecolor": style.BLUE}),
    "elsewhere": ("moved to a third class", {"facecolor": style.VERMILLION, "hatch": "xxx"}),
    "as_given": ("as given", {"facecolor": "0.9"}),
}


def course(labels: Labels) -> pd.DataFrame | None:
    """A row a snapshot: shares of the wrong labels, and `lost` of the right ones; None where it was not kept."""
    followed = labels.followed()
    if followed is None or not labels.wrong[followed.rows].any():
        return None
    rows, largest = followed.rows, followed["largest"].astype(int)
    wrong, right = labels.wrong[rows], (labels.known & ~labels.wrong)[rows]
    true, given = largest == labels.truth[rows], largest == labels.given[rows]
    return pd.DataFrame(
        {
            "epoch": followed.epochs.astype(int),
            "put_right": true[:, wrong].mean(axis=1),
            "elsewhere": (~true & ~given)[:, wrong].mean(axis=1),
            "as_given": given[:, wrong].mean(axis=1),
            "lost": (~true[:, right]).mean(axis=1) if right.any() else 0.0,
        }
    )[LABEL_HISTORY]


def for_good(labels: Labels) -> NDArray[np.float64] | None:
    """The epoch at which each wrong label that was followed was put right for good, NaN where never; else None."""
    followed = labels.followed()
    if followed is None:
        return None
    rows = followed.rows
    true = (followed["largest"].astype(int) == labels.truth[rows])[:, labels.wrong[rows]]
    stays = np.logical_and.accumulate(true[::-1], axis=0)[::-1]
    return np.where(stays.any(axis=0), followed.epochs[stays.argmax(axis=0)].astype(float), np.nan)


def by_class(labels: Labels) -> pd.DataFrame:
    """A row a true class: its wrong labels, the share put right, and its 95 % interval (Wilson); the best first."""
    right = labels.labels.argmax(axis=1) == labels.truth
    rows = []
    for each in np.unique(labels.truth[labels.wrong]):
        own = labels.wrong & (labels.truth == each)
        share = float(right[own].mean())
        rows.append([int(each), int(own.sum()), share, *interval(share, int(own.sum()))])
    frame = pd.DataFrame(rows, columns=["class", "wrong", "put_right", "low", "high"])
    return frame.sort_values("put_right", ascending=False, kind="stable", ignore_index=True)


def words(labels: Labels | str) -> str:
    """How many, and when."""
    if isinstance(labels, str) or not labels.wrong.any():
        return labels if isinstance(labels, str) else NOTHING
    wrong = int(labels.wrong.sum())
    right = int((labels.labels.argmax(axis=1) == labels.truth)[labels.wrong].sum())
    low, high = interval(right / wrong, wrong)
    said = f"{labels.name}: {right} of {wrong} wrong labels put right ({100 * right / wrong:.0f} % "
    said += f"[{100 * low:.0f}, {100 * high:.0f}], over images)"
    when = for_good(labels)
    if when is None or np.isnan(when).all():
        return f"{said}."
    early, middle, late = np.nanpercentile(when, [25, 50, 75], method="inverted_cdf")
    return f"{said}; half of them for good by epoch {middle:.0f} (a quarter by {early:.0f}, three by {late:.0f})."


def figure(labels: Labels | str) -> Figure:
    """Both plots side by side, or why there is nothing to show."""
    drawn = Figure(figsize=(style.WIDTH, 3.3))
    left, right = drawn.subplots(1, 2, width_ratios=(1.2, 1))
    if isinstance(labels, str) or not labels.wrong.any():
        style.say(left, labels if isinstance(labels, str) else NOTHING)
        right.set_axis_off()
        return drawn
    if _draw_course(left, labels):
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1)
    else:
        style.say(left, UNKNOWN)
    _draw_classes(right, labels)
    return drawn


def panels(labels: Labels) -> list[Figure]:
    """The plots that there are, each a picture of its own."""
    (first, left), (second, right) = style.panel(3.7), style.panel()
    shown = _draw_course(left, labels)
    first.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2, columnspacing=1)
    _draw_classes(right, labels)
    return [first, second] if shown else [second]


def _draw_course(axes: Axes, labels: Labels) -> bool:
    found = course(labels)
    if found is None:
        return False
    below = np.zeros(len(found))
    for name, (label, look) in LAYERS.items():
        above = below + 100 * found[name].to_numpy()
        axes.fill_between(found["epoch"], below, above, label=label, edgecolor="0.35", linewidth=0.5, **look)
        below = above
    lost = 100 * found["lost"]
    axes.plot(found["epoch"], lost, color="0.15", linestyle="--", marker="o", markersize=2.5, label="right ones lost")
    axes.set_xlabel("epoch")
    axes.set_ylabel("of the wrong labels; of the right ones (%)")
    axes.set_xlim(found["epoch"].min(), found["epoch"].max())
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False)
    return True


def _draw_classes(axes: Axes, labels: Labels) -> None:
    rows = by_class(labels)
    if len(rows) > 2 * EACH_END:
        rows = pd.concat([rows.head(EACH_END), rows.tail(EACH_END)])
    rows = rows.iloc[::-1].reset_index(drop=True)
    reach = [100 * (rows["put_right"] - rows["low"]).clip(lower=0), 100 * (rows["high"] - rows["put_right"]).clip(0)]
    dots: dict[str, Any] = {"fmt": "o", "color": style.BLUE, "ecolor": "0.35", "capsize": 2, "markersize": 5}
    axes.errorbar(100 * rows["put_right"], rows.index, xerr=reach, **dots)
    names = [f"{each}  ({count})" for each, count in zip(rows["class"], rows["wrong"], strict=True)]
    axes.set_yticks(rows.index, names)
    axes.set_ylabel("true class (wrong labels)")
    axes.set_xlabel("put right at the end (%)")
    axes.set_xlim(-2, 102)
    axes.grid(axis="y", visible=False)
