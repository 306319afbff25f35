"""Progress of the search: the best accuracy after each trial, what half the trials found, what pruning saved.

    best so far (n) = the best accuracy of the complete ones among the first n trials of the arm

If a line is flat in its second half, more trials of the same search would gain little. The best of noisy accuracies
rises by chance too, as the largest of n draws does, so a small rise means nothing: the bar at a line's end is the 95 %
interval of its best trial over the draw of the validation images.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import VALUE, SweepFrame, interval

EPOCH_COLUMNS = ["arm", "epochs", "pruned_epochs", "failed_epochs", "saved_epochs", "minutes"]
HALF_COLUMNS = ["arm", "trials", "best_of_half", "best", "best_at"]


def best_so_far(sweep: SweepFrame, arm: str) -> pd.DataFrame:
    """One row per trial of `arm`, in order: trial, n (from 1), value (NaN until one is complete)."""
    rows = sweep.trials[sweep.trials["arm"] == arm].sort_values("trial")
    values = rows[VALUE].where(rows["state"] == "complete").cummax().ffill()
    return pd.DataFrame({"trial": rows["trial"], "n": range(1, len(rows) + 1), "value": values}).reset_index(drop=True)


def half_of_trials(sweep: SweepFrame) -> pd.DataFrame:
    """One row per arm: trials, the best of the first half and of all (fractions), and at which trial that came."""
    rows = []
    for arm in (*sweep.learned, *sweep.baselines):
        progress = best_so_far(sweep, arm)
        best = progress["value"].max()
        best_at = progress.loc[progress["value"] == best, "n"].min() if pd.notna(best) else None
        best_of_half = progress.loc[progress["n"] <= len(progress) // 2, "value"].max()
        rows.append([arm, len(progress), best_of_half, best, best_at])
    return pd.DataFrame(rows, columns=HALF_COLUMNS)


def epochs_spent(sweep: SweepFrame) -> pd.DataFrame:
    """One row per arm: epochs run, those of pruned and of failed trials, those that pruning saved, and minutes."""
    curves = sweep.curves[sweep.curves["metric"] == "val_accuracy"]
    run = sweep.trials["trial"].map(curves.groupby("trial")["step"].max()).fillna(0)
    trials = sweep.trials.assign(run=run)
    rows = []
    for arm in (*sweep.learned, *sweep.baselines):
        own = trials[trials["arm"] == arm]
        pruned, failed = own[own["state"] == "pruned"], own[own["state"] == "failed"]
        saved = (pruned["params.epochs"].astype(float) - pruned["run"]).sum()
        epochs = [int(count) for count in (own["run"].sum(), pruned["run"].sum(), failed["run"].sum(), saved)]
        rows.append([arm, *epochs, own["seconds"].sum() / 60])
    return pd.DataFrame(rows, columns=EPOCH_COLUMNS)


def plots(sweep: SweepFrame) -> Plots:
    progress = {arm: best_so_far(sweep, arm).dropna() for arm in (*sweep.learned, *sweep.baselines)}
    progress = {arm: rows for arm, rows in progress.items() if len(rows)}
    epochs = epochs_spent(sweep)
    best = Plot(lambda axes: _draw_best(axes, sweep, progress), height=3.6, width=1.15)
    spent = Plot(lambda axes: _draw_epochs(axes, epochs), height=1.6 + 0.35 * len(epochs))
    return [best if progress else "no trial ran to its end", *([spent] if epochs["epochs"].sum() else [])]


def _draw_best(axes: Axes, sweep: SweepFrame, progress: dict[str, pd.DataFrame]) -> None:
    styles = style.arm_styles(sweep.learned, sweep.baselines)
    most = max(int(rows["n"].max()) for rows in progress.values())
    for i, (arm, rows) in enumerate(progress.items()):
        color, linestyle, marker = styles[arm].color, styles[arm].linestyle, styles[arm].marker
        axes.step(rows["n"], 100 * rows["value"], linestyle, where="post", label=arm, color=color)
        rises = rows[rows["value"].diff().fillna(1) > 0]
        gid = style.trial_id(rises["trial"])
        axes.scatter(rises["n"], 100 * rises["value"], s=26, marker=marker, color=color, zorder=3, gid=gid)
        best = sweep.best(arm).iloc[0]
        low, high = interval(float(best[VALUE]), sweep.images(best))
        x = most * (1.03 + 0.03 * i)  # lines often end at one height: their bars stand side by side
        axes.plot([x] * 2, [100 * low, 100 * high], color=color, linewidth=1.6, solid_capstyle="butt")
        axes.plot(x, 100 * rows["value"].iloc[-1], marker=marker, color=color, markersize=4)
    axes.axvline(most / 2, color="0.55", linewidth=0.8, zorder=0, label="half of the trials")
    axes.set_xlabel("trials of the arm, in order")
    axes.set_ylabel("best validation accuracy so far (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_epochs(axes: Axes, epochs: pd.DataFrame) -> None:
    rows = epochs.iloc[::-1]
    bars: dict[str, tuple[pd.Series[int], dict[str, Any]]] = {
        "complete trials": (rows["epochs"] - rows["pruned_epochs"] - rows["failed_epochs"], {"color": "0.3"}),
        "pruned trials": (rows["pruned_epochs"], {"color": "0.6", "hatch": "//"}),
        "failed trials": (rows["failed_epochs"], {"color": "0.75", "hatch": "xx"}),
        "saved by pruning": (rows["saved_epochs"], {"color": "none", "linestyle": "--"}),
    }
    left = np.zeros(len(rows))
    for label, (count, options) in bars.items():
        if count.sum():
            axes.barh(
                rows["arm"], count, left=left, label=label, height=0.6, edgecolor="0.15", linewidth=0.8, **options
            )
        left = left + count.to_numpy()
    axes.set_xlabel("epochs")
    axes.grid(axis="y", visible=False)
