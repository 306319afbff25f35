"""Over the epochs: the share of wrong labels that learned labels correct, and of correct labels that they keep.

    corrected = share of the labels that noise made wrong whose largest entry is now the true class
    kept      = share of the labels that noise left correct whose largest entry is still the true class

The best learned trials stand out; every other learned trial is a thin grey line behind them.
"""

from matplotlib.axes import Axes

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import SweepFrame
from harness.common.formatting import format_setting

N_BEST = 3  # learned trials that stand out
Y_LABELS = {
    "noisy_labels_corrected": "wrong labels put right (%)",
    "clean_labels_kept": "right labels kept (%)",
}
MARGIN = 15  # percentage points that the scale reaches below the trials that stand out
LINES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))


def plots(sweep: SweepFrame) -> Plots:
    if not sweep.learned or not (sweep.curves["metric"] == "noisy_labels_corrected").any():
        return ["no label was made wrong in this sweep"]
    return [
        Plot(lambda axes, metric=metric: _draw(axes, sweep, metric), height=3.7, legend_columns=1)  # type: ignore[misc]
        for metric in Y_LABELS
    ]


def _draw(axes: Axes, sweep: SweepFrame, metric: str) -> None:
    lowest: list[float] = []
    for arm in sweep.learned:
        best = sweep.best(arm, N_BEST)
        others = sweep.trials[(sweep.trials["arm"] == arm) & ~sweep.trials["trial"].isin(best["trial"])]
        for trial in others["trial"]:
            curve = sweep.curve(int(trial), metric)
            axes.plot(
                curve["step"],
                100 * curve["value"],
                color="0.75",
                linewidth=0.7,
                zorder=1,
                label="other learned trials",
                gid=style.trial_id([trial]),
            )
        for rank, (_, row) in enumerate(best.iterrows()):
            curve = sweep.curve(int(row["trial"]), metric)
            axes.plot(
                curve["step"],
                100 * curve["value"],
                linestyle=LINES[rank],
                linewidth=1.8 - 0.3 * rank,
                alpha=1 - 0.2 * rank,
                color=style.BLUE,
                zorder=3,
                label=f"{row['name']} (label_lr {format_setting(row['params.label_lr'])}, "
                f"interval {row['params.meta_interval']:.0f})",
                gid=style.trial_id([row["trial"]]),
            )
            lowest.append(100 * float(curve["value"].min()))
    axes.set_ylim(max(-2.0, min(lowest, default=0.0) - MARGIN), 102)
    style.epoch_axis(axes)
    axes.set_ylabel(Y_LABELS[metric])
