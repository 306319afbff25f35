"""How well learned labels detect wrong labels: precision and recall over a threshold.

    suspicion_i = 1 - y_i,given        the mass that has left the given class
    flagged     = suspicion > threshold
    precision   = share of the flagged labels that are wrong
    recall      = share of the wrong labels that are flagged

At a threshold of 0.5 a label is flagged where most of its mass has left. Average precision is the mean of the precision
over the recall, Σ_k (R_k - R_k-1) P_k; that of a guess is the share of wrong labels. Bands are Wilson's 95 % intervals,
over the draw of the images; thin lines are fresh seeds of the same configuration, where it was confirmed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import interval as wilson_interval
from harness.common.formatting import format_accuracy, format_interval, format_percent

THRESHOLD = 0.5
TABLE_THRESHOLDS = (0.25, THRESHOLD, 0.75)
ENDS = ["precision_low", "precision_high", "recall_low", "recall_high"]
GRID = 201
NO_WRONG_LABELS = "no label is known to be wrong in this sweep"
LINES = {"precision": (style.BLUE, "-"), "recall": (style.VERMILLION, "--")}
FRESH_SEED: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.45, "zorder": 1}


def measurable(labels: Labels) -> bool:
    """Whether some labels are known to be wrong, and others to be correct."""
    return bool(labels.wrong.any() and (labels.known & ~labels.wrong).any())


def at_thresholds(labels: Labels, thresholds: Sequence[float] | NDArray[np.float64]) -> pd.DataFrame:
    """A row per threshold: number of flagged labels among those whose truth is known, precision, recall, intervals.

    Precision is NaN where nothing is flagged. All but the number are fractions.
    """
    suspicion, wrong = labels.suspicion[labels.known], labels.wrong[labels.known]
    rows = []
    for threshold in thresholds:
        flagged = suspicion > threshold
        hits, n_flagged, n_wrong = int((flagged & wrong).sum()), int(flagged.sum()), int(wrong.sum())
        rows.append([threshold, n_flagged, *_share(hits, n_flagged), *_share(hits, n_wrong)])
    columns = ["threshold", "flagged", "precision", *ENDS[:2], "recall", *ENDS[2:]]
    return pd.DataFrame(rows, columns=columns)[["threshold", "flagged", "precision", "recall", *ENDS]]


def _share(part: int, whole: int) -> tuple[float, float, float]:
    return (part / whole, *wilson_interval(part / whole, whole)) if whole else (math.nan, math.nan, math.nan)


def curve(labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision over all thresholds."""
    from sklearn.metrics import precision_recall_curve  # half a second: not for a sweep without such a figure

    precision, recall, _ = precision_recall_curve(labels.wrong[labels.known], labels.suspicion[labels.known])
    return recall[:-1], precision[:-1]  # the last point, of recall 0, is of no threshold


def table(labels: Labels | str) -> pd.DataFrame:
    """`at_thresholds` for a person to read; empty where nothing can be measured."""
    if isinstance(labels, str) or not measurable(labels):
        return pd.DataFrame()
    return at_thresholds(labels, TABLE_THRESHOLDS).round(3)


def description(labels: Labels | str, fresh_seeds: Sequence[Labels] = ()) -> str:
    """The numbers at `THRESHOLD`, and their range over the fresh seeds."""
    if isinstance(labels, str) or not measurable(labels):
        return labels if isinstance(labels, str) else NO_WRONG_LABELS
    from sklearn.metrics import average_precision_score

    row = at_thresholds(labels, [THRESHOLD]).iloc[0]
    average_precision = average_precision_score(labels.wrong[labels.known], labels.suspicion[labels.known])
    text = (
        f"{labels.name}: of {labels.known.sum()} labels {labels.wrong.sum()} are wrong. {row['flagged']:.0f} lost more "
        f"than {THRESHOLD:g} of their mass: {_with_interval(row, 'precision')}, {_with_interval(row, 'recall')}. "
        f"Average precision {format_accuracy(average_precision)}, of a guess {format_accuracy(_share_wrong(labels))}."
    )
    fresh_seeds = list(filter(measurable, fresh_seeds))
    if fresh_seeds:
        rows = pd.concat([at_thresholds(seed_labels, [THRESHOLD]) for seed_labels in fresh_seeds])
        ranges = (
            f"{name} from {format_accuracy(rows[name].min())} to {format_accuracy(rows[name].max())}" for name in LINES
        )
        text += f" Over {len(fresh_seeds)} fresh seeds: {' and '.join(ranges)}."
    return text


def _share_wrong(labels: Labels) -> float:
    return float(labels.wrong.sum() / labels.known.sum())


def _with_interval(row: "pd.Series[float]", name: str) -> str:
    interval = format_interval((row[f"{name}_low"], row[f"{name}_high"]), missing="")
    return f"{name} {format_accuracy(row[name])} {interval}".rstrip()


def plots(labels: Labels | str, fresh_seeds: Sequence[Labels] = ()) -> Plots:
    if isinstance(labels, str) or not measurable(labels):
        return [labels if isinstance(labels, str) else NO_WRONG_LABELS]
    fresh_seeds = list(filter(measurable, fresh_seeds))
    return [
        Plot(lambda axes: _draw_thresholds(axes, labels, fresh_seeds)),
        Plot(lambda axes: _draw_precision_recall(axes, labels, fresh_seeds)),
    ]


def _draw_thresholds(axes: Axes, labels: Labels, fresh_seeds: Sequence[Labels]) -> None:
    thresholds = np.linspace(0, 1, GRID)[:-1]
    for seed_labels in fresh_seeds:
        rows = at_thresholds(seed_labels, thresholds)
        for name, (color, linestyle) in LINES.items():
            axes.plot(thresholds, 100 * rows[name], linestyle, color=color, **FRESH_SEED)
    if fresh_seeds:
        axes.plot([], [], "-", color="0.55", linewidth=0.6, label=f"fresh seeds ({len(fresh_seeds)})")
    rows = at_thresholds(labels, thresholds)
    for name, (color, linestyle) in LINES.items():
        low, high = 100 * rows[f"{name}_low"], 100 * rows[f"{name}_high"]
        axes.fill_between(thresholds, low, high, color=color, alpha=0.16, linewidth=0)
        axes.plot(thresholds, 100 * rows[name], linestyle, color=color, label=name, zorder=3)
    axes.axvline(THRESHOLD, color="0.55", linewidth=0.8, zorder=0)
    axes.set_xlabel("threshold on the mass that left the given class")
    axes.set_ylabel("precision, recall (%)")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 102)


def _draw_precision_recall(axes: Axes, labels: Labels, fresh_seeds: Sequence[Labels]) -> None:
    for seed_labels in fresh_seeds:
        recall, precision = curve(seed_labels)
        axes.plot(100 * recall, 100 * precision, color=style.BLUE, **FRESH_SEED)
    recall, precision = curve(labels)
    axes.plot(100 * recall, 100 * precision, color=style.BLUE, label=labels.name, zorder=3)
    stated = 100 * at_thresholds(labels, [THRESHOLD]).iloc[0]
    if not math.isnan(stated["precision"]):
        x_error, y_error = (
            np.clip([[stated[name] - stated[f"{name}_low"]], [stated[f"{name}_high"] - stated[name]]], 0, None)
            for name in ("recall", "precision")
        )
        axes.errorbar(
            stated["recall"],
            stated["precision"],
            yerr=y_error,
            xerr=x_error,
            fmt="o",
            color="0.15",
            markersize=5,
            capsize=2,
            elinewidth=1,
            zorder=4,
            label=f"at {THRESHOLD:g}",
        )
    guess = _share_wrong(labels)
    axes.axhline(100 * guess, color="0.55", linestyle=":", label=f"a guess ({format_percent(guess)})")
    axes.set_xlabel("recall: wrong labels that are flagged (%)")
    axes.set_ylabel("precision: flagged labels that are wrong (%)")
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
