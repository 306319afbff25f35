"""How the search went: the best so far after each trial, what half the budget would have found, what pruning saved.

    best so far (n) = the best accuracy of the complete ones among the first n trials of the arm

A line that is flat in its second half says that more of the same search would bring little. Of a noisy accuracy the
best keeps rising by luck alone, about as the largest of n draws does, so that a small rise says nothing either.
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import style
from analysis.study import VALUE, Study

EFFORT = ["arm", "epochs", "pruned_epochs", "failed_epochs", "saved_epochs", "minutes"]
HALVES = ["arm", "trials", "half", "all", "at"]


def best_so_far(study: Study, arm: str) -> pd.DataFrame:
    """One row a trial of `arm`, in order: trial, n (from 1), value, NaN until one is complete."""
    rows = study.trials[study.trials["arm"] == arm].sort_values("trial")
    values = rows[VALUE].where(rows["state"] == "complete").cummax().ffill()
    return pd.DataFrame({"trial": rows["trial"], "n": range(1, len(rows) + 1), "value": values}).reset_index(drop=True)


def halves(study: Study) -> pd.DataFrame:
    """One row an arm: its trials, the best of the first half and of all (fractions), and at which trial that came."""
    rows = []
    for arm in (*study.learned, *study.baselines):
        course = best_so_far(study, arm)
        best = course["value"].max()
        at = course.loc[course["value"] == best, "n"].min() if pd.notna(best) else None
        half = course.loc[course["n"] <= len(course) // 2, "value"].max()
        rows.append([arm, len(course), half, best, at])
    return pd.DataFrame(rows, columns=HALVES)


def effort(study: Study) -> pd.DataFrame:
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


def panel(study: Study) -> Figure | None:
    """The best so far of every arm; None where no trial is complete."""
    drawn, axes = style.panel(3.6)
    pens = style.pens(study.learned, study.baselines)
    longest = 0
    for arm in (*study.learned, *study.baselines):
        course = best_so_far(study, arm).dropna()
        if course.empty:
            continue
        longest = max(longest, int(course["n"].max()))
        pen = pens[arm]
        axes.step(course["n"], 100 * course["value"], pen.linestyle, where="post", label=arm, color=pen.color)
        risen = course[course["value"].diff().fillna(1) > 0]
        gid = style.marks(risen["trial"])
        axes.scatter(risen["n"], 100 * risen["value"], s=26, marker=pen.marker, color=pen.color, zorder=3, gid=gid)
    if not longest:
        return None
    axes.axvline(longest / 2, color="0.55", linewidth=0.8, zorder=0, label="half of the trials")
    axes.set_xlabel("trials of the arm, in order")
    axes.set_ylabel("best validation accuracy so far (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, handlelength=3)
    return drawn
