"""How well learned labels find the mistakes among the given ones: precision and recall over a threshold.

    suspicion_i = 1 - y_i,given        the mass that has left the given class
    flagged     = suspicion > threshold
    precision   = share of the flagged labels that are wrong
    recall      = share of the wrong labels that are flagged

At a threshold of 0.5 a label is flagged where most of its mass has left. `average precision` is the mean of the
precision over the recall, Σ_k (R_k - R_k-1) P_k; that of a guess is the share of wrong labels. Bands are Wilson's 95 %
intervals, over the draw of the images; thin lines are fresh seeds of the same configuration, where it was confirmed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures import style
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import interval

STATED = 0.5
THRESHOLDS = (0.25, STATED, 0.75)
COLUMNS = ["threshold", "flagged", "precision", "recall"]
BOUNDS = ["precision_low", "precision_high", "recall_low", "recall_high"]
STEPS = 201
NOTHING = "no label is known to be wrong in this sweep"


def findable(labels: Labels) -> bool:
    """Whether some labels are known to be wrong, and others right."""
    return bool(labels.wrong.any() and (labels.known & ~labels.wrong).any())


def at(labels: Labels, thresholds: Sequence[float] | NDArray[np.float64] = THRESHOLDS) -> pd.DataFrame:
    """A row a threshold: how many of the labels with a known truth are flagged, precision and recall with intervals.

    Precision is NaN where nothing is flagged. Shares are fractions.
    """
    suspicion, wrong = labels.suspicion[labels.known], labels.wrong[labels.known]
    rows = []
    for threshold in thresholds:
        flagged = suspicion > threshold
        hits, count, whole = int((flagged & wrong).sum()), int(flagged.sum()), int(wrong.sum())
        rows.append([threshold, count, *_share(hits, count), *_share(hits, whole)])
    head = ["threshold", "flagged", "precision", *BOUNDS[:2], "recall", *BOUNDS[2:]]
    return pd.DataFrame(rows, columns=head)[[*COLUMNS, *BOUNDS]]


def _share(part: int, whole: int) -> tuple[float, float, float]:
    return (part / whole, *interval(part / whole, whole)) if whole else (math.nan, math.nan, math.nan)


def ranked(labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision as labels are flagged, the most suspect first; equals at once."""
    suspicion, wrong = labels.suspicion[labels.known], labels.wrong[labels.known]
    order = np.argsort(-suspicion, kind="stable")
    hits = np.cumsum(wrong[order])
    last = np.append(np.diff(suspicion[order]) != 0, True)
    counts = np.arange(1, len(order) + 1)
    return hits[last] / max(int(wrong.sum()), 1), hits[last] / counts[last]


def average_precision(labels: Labels) -> float:
    recall, precision = ranked(labels)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def table(labels: Labels | str) -> pd.DataFrame:
    """`at` the stated thresholds, for a person to read; empty where there is nothing to find."""
    if isinstance(labels, str) or not findable(labels):
        return pd.DataFrame(columns=[*COLUMNS, *BOUNDS])
    return at(labels).round(3)


def words(labels: Labels | str, others: Sequence[Labels] = ()) -> str:
    """The numbers at the stated threshold, and over the fresh seeds."""
    if isinstance(labels, str) or not findable(labels):
        return labels if isinstance(labels, str) else NOTHING
    row = at(labels, [STATED]).iloc[0]
    count = int(labels.known.sum())
    guess = labels.wrong.sum() / count
    said = (
        f"{labels.name}: of {count} labels {labels.wrong.sum()} are wrong. {row['flagged']:.0f} lost more than "
        f"{STATED:g} of their mass: precision {_written(row, 'precision')}, recall {_written(row, 'recall')}. "
        f"Average precision {average_precision(labels):.3f}, of a guess {guess:.3f}."
    )
    if others:
        found = pd.concat([at(each, [STATED]) for each in others])
        spans = " and ".join(
            f"{name} from {found[name].min():.3f} to {found[name].max():.3f}" for name in ("precision", "recall")
        )
        said += f" Over {len(others)} fresh seeds: {spans}."
    return said


def _written(row: "pd.Series[float]", name: str) -> str:
    if math.isnan(row[name]):
        return "of nothing"
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def figure(labels: Labels | str, others: Sequence[Labels] = ()) -> Figure:
    """Both plots side by side, or why there is nothing to show."""
    drawn = Figure(figsize=(style.WIDTH, 3.1))
    left, right = drawn.subplots(1, 2)
    if isinstance(labels, str) or not findable(labels):
        style.say(left, labels if isinstance(labels, str) else NOTHING)
        right.set_axis_off()
        return drawn
    _draw_threshold(left, labels, others)
    _draw_ranked(right, labels, others)
    for axes in (left, right):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handlelength=2.5, columnspacing=1)
    return drawn


def panels(labels: Labels, others: Sequence[Labels] = ()) -> list[Figure]:
    """The two plots, each a picture of its own."""
    (first, left), (second, right) = style.panel(), style.panel()
    _draw_threshold(left, labels, others)
    _draw_ranked(right, labels, others)
    for drawn, axes in ((first, left), (second, right)):
        drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, handlelength=2.5)
    return [first, second]


def _draw_threshold(axes: Axes, labels: Labels, others: Sequence[Labels]) -> None:
    steps = np.linspace(0, 1, STEPS)[:-1]
    looks = (("precision", style.BLUE, "-"), ("recall", style.VERMILLION, "--"))
    for place, each in enumerate(others):
        rows = at(each, steps)
        for name, colour, line in looks:
            axes.plot(steps, 100 * rows[name], line, color=colour, linewidth=0.6, alpha=0.45, zorder=1)
        if place == 0:
            axes.plot([], [], "-", color="0.55", linewidth=0.6, label=f"fresh seeds ({len(others)})")
    rows = at(labels, steps)
    for name, colour, line in looks:
        low, high = 100 * rows[f"{name}_low"], 100 * rows[f"{name}_high"]
        axes.fill_between(steps, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(steps, 100 * rows[name], line, color=colour, label=name, zorder=3)
    axes.axvline(STATED, color="0.55", linewidth=0.8, zorder=0)
    axes.set_xlabel("threshold on the mass that left the given class")
    axes.set_ylabel("precision, recall (%)")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 102)


def _draw_ranked(axes: Axes, labels: Labels, others: Sequence[Labels]) -> None:
    for each in others:
        recall, precision = ranked(each)
        axes.plot(100 * recall, 100 * precision, color=style.BLUE, linewidth=0.6, alpha=0.45, zorder=1)
    recall, precision = ranked(labels)
    axes.plot(100 * recall, 100 * precision, color=style.BLUE, label=labels.name, zorder=3)
    stated = at(labels, [STATED]).iloc[0]
    if not math.isnan(stated["precision"]):
        reach = [
            [100 * max(stated[name] - stated[f"{name}_low"], 0), 100 * max(stated[f"{name}_high"] - stated[name], 0)]
            for name in ("recall", "precision")
        ]
        spot: dict[str, Any] = {"marker": "o", "markersize": 5, "linestyle": "none", "color": "0.15", "zorder": 4}
        errors: dict[str, Any] = {
            "xerr": np.array(reach[:1]).T,
            "yerr": np.array(reach[1:]).T,
            "capsize": 2,
            "elinewidth": 1,
        }
        axes.errorbar(100 * stated["recall"], 100 * stated["precision"], label=f"at {STATED:g}", **errors, **spot)
    guess = 100 * labels.wrong.sum() / labels.known.sum()
    axes.axhline(guess, color="0.55", linestyle=":", label=f"a guess ({guess:.0f} %)")
    axes.set_xlabel("recall: wrong labels that are flagged (%)")
    axes.set_ylabel("precision: flagged that are wrong (%)")
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 102)
