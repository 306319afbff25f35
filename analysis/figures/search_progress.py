"""How the search went: the best so far after each trial, what half the budget would have found, what pruning saved.

    best so far (n) = the best accuracy of the complete ones among the first n trials of the arm

A line that is flat in its second half says that more of the same search would bring little. Of a noisy accuracy the
best keeps rising by luck alone, about as the largest of n draws does, so that a small rise says nothing either: the
bar at a line's end is what another draw of as many validation images would give its best, 95 times in 100.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval

EFFORT = ["arm", "epochs", "pruned_epochs", "failed_epochs", "saved_epochs", "minutes"]
HALVES = ["arm", "trials", "half", "all", "at"]


def best_so_far(study: SweepFrame, arm: str) -> pd.DataFrame:
    """One row a trial of `arm`, in order: trial, n (from 1), value, NaN until one is complete."""
    rows = study.trials[study.trials["arm"] == arm].sort_values("trial")
    values = rows[VALUE].where(rows["state"] == "complete").cummax().ffill()
    return pd.DataFrame({"trial": rows["trial"], "n": range(1, len(rows) + 1), "value": values}).reset_index(drop=True)


def halves(study: SweepFrame) -> pd.DataFrame:
    """One row an arm: its trials, the best of the first half and of all (fractions), and at which trial that came."""
    rows = []
    for arm in (*study.learned, *study.baselines):
        course = best_so_far(study, arm)
        best = course["value"].max()
        at = course.loc[course["value"] == best, "n"].min() if pd.notna(best) else None
        half = course.loc[course["n"] <= len(course) // 2, "value"].max()
        rows.append([arm, len(course), half, best, at])
    return pd.DataFrame(rows, columns=HALVES)


def effort(study: SweepFrame) -> pd.DataFrame:
    """One row an arm: epochs run, those of pruned and of failed trials, those that pruning saved, and trial minutes."""
    curves = study.curves[study.curves["metric"] == "val_accuracy"]
    ran = study.trials["trial"].map(curves.groupby("trial")["step"].max()).fillna(0)
    frame = study.trials.assign(ran=ran)
    rows = []
    for arm in (*study.learned, *study.baselines):
        own = frame[frame["arm"] == arm]
        pruned, failed = own[own["state"] == "pruned"], own[own["state"] == "failed"]
        saved = (pruned["params.epochs"].astype(float) - pruned["ran"]).sum()
        epochs = [int(part) for part in (own["ran"].sum(), pruned["ran"].sum(), failed["ran"].sum(), saved)]
        rows.append([arm, *epochs, own["seconds"].sum() / 60])
    return pd.DataFrame(rows, columns=EFFORT)


def figure(study: SweepFrame) -> Figure:
    """The best so far of every arm beside what its epochs went into, or why there is nothing to show."""
    drawn = Figure(figsize=(style.WIDTH, 3.1))
    left, right = drawn.subplots(1, 2, width_ratios=(1.15, 1))
    if _draw_best(left, study):
        left.legend(handlelength=3, loc="lower right")
    else:
        style.say(left, "no trial ran to its end")
    if _draw_spent(right, study):
        right.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    else:
        right.set_axis_off()
    return drawn


def panels(study: SweepFrame) -> list[Figure]:
    """The two plots, each a picture of its own; without those that have nothing to show."""
    (first, left), (second, right) = style.panel(3.6), style.panel(1.6 + 0.35 * study.trials["arm"].nunique())
    pictures = [(first, left, _draw_best(left, study)), (second, right, _draw_spent(right, study))]
    for drawn, axes, _ in pictures:
        drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, handlelength=3)
    return [drawn for drawn, _, shown in pictures if shown]


def _draw_best(axes: Axes, study: SweepFrame) -> bool:
    pens = style.pens(study.learned, study.baselines)
    courses = {arm: best_so_far(study, arm).dropna() for arm in (*study.learned, *study.baselines)}
    courses = {arm: course for arm, course in courses.items() if len(course)}
    if not courses:
        return False
    longest = max(int(course["n"].max()) for course in courses.values())
    for place, (arm, course) in enumerate(courses.items()):
        pen = pens[arm]
        axes.step(course["n"], 100 * course["value"], pen.linestyle, where="post", label=arm, color=pen.color)
        risen = course[course["value"].diff().fillna(1) > 0]
        gid = style.marks(risen["trial"])
        axes.scatter(risen["n"], 100 * risen["value"], s=26, marker=pen.marker, color=pen.color, zorder=3, gid=gid)
        best = study.best(arm).iloc[0]
        low, high = interval(float(best[VALUE]), study.images(best))
        beside = longest * (1.03 + 0.03 * place)  # lines often end at one height: their bars stand side by side
        axes.plot([beside] * 2, [100 * low, 100 * high], color=pen.color, linewidth=1.6, solid_capstyle="butt")
        axes.plot(beside, 100 * course["value"].iloc[-1], marker=pen.marker, color=pen.color, markersize=4)
    axes.axvline(longest / 2, color="0.55", linewidth=0.8, zorder=0, label="half of the trials")
    axes.set_xlabel("trials of the arm, in order")
    axes.set_ylabel("best validation accuracy so far (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return True


SPENT: dict[str, dict[str, Any]] = {
    "complete trials": {"color": "0.3"},
    "pruned trials": {"color": "0.6", "hatch": "//"},
    "failed trials": {"color": "0.75", "hatch": "xx"},
    "saved by pruning": {"color": "none", "linestyle": "--"},
}


def _draw_spent(axes: Axes, study: SweepFrame) -> bool:
    spent = effort(study).iloc[::-1]
    if not spent["epochs"].sum():
        return False
    wasted = spent["pruned_epochs"] + spent["failed_epochs"]
    parts = [spent["epochs"] - wasted, spent["pruned_epochs"], spent["failed_epochs"], spent["saved_epochs"]]
    left = np.zeros(len(spent))
    for (label, look), part in zip(SPENT.items(), parts, strict=True):
        if part.sum():
            axes.barh(spent["arm"], part, left=left, label=label, height=0.6, edgecolor="0.15", linewidth=0.8, **look)
        left = left + part.to_numpy()
    axes.set_xlabel("epochs")
    axes.grid(axis="y", visible=False)
    return True
