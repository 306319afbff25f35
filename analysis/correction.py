"""Over the epochs: how many of the wrong labels the learned labels put right, and how many right ones they keep.

    put right = share of the labels that noise made wrong whose largest entry is now the true class
    kept      = share of the labels that noise left right whose largest entry is still the true class

The best few learned trials stand out; every other learned trial is a thin grey line behind them.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import style
from analysis.study import Study

FEW = 3  # learned trials that stand out
PANELS = {
    "noisy_labels_corrected": "wrong labels put right (%)",
    "clean_labels_kept": "right labels kept (%)",
}
MARGIN = 15  # percentage points that the scale reaches below the trials that stand out
LINES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), "-.")


def figure(study: Study, few: int = FEW) -> Figure:
    drawn = Figure(figsize=(style.WIDTH, 3.1))
    panels = drawn.subplots(1, 2, sharex=True)
    if not (study.curves["metric"] == "noisy_labels_corrected").any():
        style.say(panels[0], "no label was made wrong in this sweep")
        panels[1].set_axis_off()
        return drawn
    for axes, (metric, title) in zip(panels, PANELS.items(), strict=True):
        _draw(axes, study, metric, few)
        axes.set_xlabel("epoch")
        axes.set_ylabel(title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=2, handlelength=3)
    return drawn


def _draw(axes: Axes, study: Study, metric: str, few: int) -> None:
    lowest: list[float] = []
    for arm in study.learned:
        best = study.best(arm, few)
        chosen = [int(trial) for trial in best["trial"]]
        others = study.trials[(study.trials["arm"] == arm) & ~study.trials["trial"].isin(chosen)]
        for place, trial in enumerate(others["trial"]):
            curve = study.curve(int(trial), metric)
            label = "other learned trials" if place == 0 else None
            axes.plot(curve["step"], 100 * curve["value"], color="0.75", linewidth=0.7, zorder=1, label=label)
        for rank, (_, row) in enumerate(best.iterrows()):
            curve = study.curve(int(row["trial"]), metric)
            line: dict[str, Any] = {
                "linestyle": LINES[rank % len(LINES)],
                "linewidth": 1.8 - 0.3 * rank,
                "alpha": 1 - 0.2 * rank,
            }
            label = f"{row['name']} (label_lr {row['params.label_lr']:.2g}, interval {row['params.meta_interval']:.0f})"
            axes.plot(curve["step"], 100 * curve["value"], color=style.BLUE, zorder=3, label=label, **line)
            lowest.append(100 * float(curve["value"].min()))
    axes.set_ylim(max(-2.0, min(lowest, default=0.0) - MARGIN), 102)
