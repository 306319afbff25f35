"""Outcomes of the learned labels: when wrong labels were corrected, and of which classes they were.

By their largest entry, of the labels that noise made wrong:

    put right    the true class          as given    the class that noise gave         elsewhere    a third class

and of those that were correct, lost: any other than the true class. A label is corrected for good at the first snapshot
from which on it stays so to the end. Snapshots lie some epochs apart: that is how precisely the epoch is known.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.labels.noise_detection import NO_WRONG_LABELS
from analysis.figures.style import Plot, Plots
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import interval as wilson_interval
from harness.common.formatting import format_interval, format_percent

MAX_NAME = 20  # characters of a class's name
NO_HISTORY = "the label history was not kept (no label_history.npz); the other plot shows its end"
MAX_CLASSES_PER_END = 10  # the best and the worst classes, where there are more than twice as many
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "put_right": ("put right", {"facecolor": style.BLUE}),
    "elsewhere": ("moved to a third class", {"facecolor": style.VERMILLION, "hatch": "xxx"}),
    "as_given": ("as given", {"facecolor": "0.9"}),
}


def over_epochs(labels: Labels) -> pd.DataFrame | None:
    """A row per snapshot: shares of the wrong labels, and `lost` of the correct ones; None without a history."""
    history = labels.followed()
    if history is None or not labels.wrong[history["rows"]].any():
        return None
    rows, largest = history["rows"], history["largest"].astype(int)
    wrong, correct = labels.wrong[rows], (labels.known & ~labels.wrong)[rows]
    true, given = largest == labels.truth[rows], largest == labels.given[rows]
    return pd.DataFrame(
        {
            "epoch": history["epochs"].astype(int),
            "put_right": true[:, wrong].mean(axis=1),
            "elsewhere": (~true & ~given)[:, wrong].mean(axis=1),
            "as_given": given[:, wrong].mean(axis=1),
            "lost": (~true[:, correct]).mean(axis=1) if correct.any() else 0.0,
        }
    )


def correction_epochs(labels: Labels) -> NDArray[np.float64] | None:
    """The epoch at which each wrong label with a history was corrected for good, NaN where never."""
    history = labels.followed()
    if history is None:
        return None
    true = (history["largest"].astype(int) == labels.truth[history["rows"]])[:, labels.wrong[history["rows"]]]
    stays = np.logical_and.accumulate(true[::-1], axis=0)[::-1]
    return np.where(stays.any(axis=0), history["epochs"][stays.argmax(axis=0)].astype(float), np.nan)


def by_class(labels: Labels) -> pd.DataFrame:
    """A row per true class: its wrong labels, the share put right, and its 95 % interval (Wilson); the best first."""
    correct = labels.labels.argmax(axis=1) == labels.truth
    rows = []
    for true_class in np.unique(labels.truth[labels.wrong]):
        wrong = labels.wrong & (labels.truth == true_class)
        share, count = float(correct[wrong].mean()), int(wrong.sum())
        rows.append([labels.class_names[true_class], count, share, *wilson_interval(share, count)])
    frame = pd.DataFrame(rows, columns=["class", "wrong", "put_right", "low", "high"])
    return frame.sort_values("put_right", ascending=False, kind="stable", ignore_index=True)


def description(labels: Labels | str) -> str:
    """How many wrong labels were corrected, and when."""
    if isinstance(labels, str) or not labels.wrong.any():
        return labels if isinstance(labels, str) else NO_WRONG_LABELS
    wrong = int(labels.wrong.sum())
    correct = int((labels.labels.argmax(axis=1) == labels.truth)[labels.wrong].sum())
    ends = format_interval(wilson_interval(correct / wrong, wrong), scale=100, digits=0)
    share = format_percent(correct / wrong)
    text = f"{labels.name}: {correct} of {wrong} wrong labels put right ({share} {ends}, over images)"
    epochs = correction_epochs(labels)
    if epochs is None or np.isnan(epochs).all():
        return f"{text}."
    early, middle, late = np.nanpercentile(epochs, [25, 50, 75], method="inverted_cdf")
    return f"{text}; half of them for good by epoch {middle:.0f} (a quarter by {early:.0f}, three by {late:.0f})."


def plots(labels: Labels | str) -> Plots:
    if isinstance(labels, str) or not labels.wrong.any():
        return [labels if isinstance(labels, str) else NO_WRONG_LABELS]
    history = over_epochs(labels)
    return [
        NO_HISTORY if history is None else Plot(lambda axes: _draw_history(axes, history), height=3.7, width=1.2),
        Plot(lambda axes: _draw_classes(axes, labels)),
    ]


def _draw_history(axes: Axes, history: pd.DataFrame) -> None:
    lower = np.zeros(len(history))
    for column, (label, options) in LAYERS.items():
        upper = lower + 100 * history[column].to_numpy()
        axes.fill_between(history["epoch"], lower, upper, label=label, edgecolor="0.35", linewidth=0.5, **options)
        lower = upper
    options = {"color": "0.15", "linestyle": "--", "marker": "o", "markersize": 2.5, "label": "right ones lost"}
    axes.plot(history["epoch"], 100 * history["lost"], **options)
    style.epoch_axis(axes)
    axes.set_ylabel("of the wrong labels; of the right ones (%)")
    axes.set_xlim(history["epoch"].min(), history["epoch"].max())
    axes.set_ylim(0, 100)
    axes.grid(visible=False)


def _draw_classes(axes: Axes, labels: Labels) -> None:
    rows = by_class(labels)
    if len(rows) > 2 * MAX_CLASSES_PER_END:
        rows = pd.concat([rows.head(MAX_CLASSES_PER_END), rows.tail(MAX_CLASSES_PER_END)])
    names = [
        f"{style.name_text(name, MAX_NAME)}  ({count})"
        for name, count in zip(rows["class"], rows["wrong"], strict=True)
    ]
    style.draw_intervals(axes, rows, "put_right", names, scale=100)
    axes.set_ylabel("true class (wrong labels)")
    axes.set_xlabel("put right at the end (%)")
    axes.set_xlim(-2, 102)
