"""Over the epochs: how many of the wrong labels the learned labels put right, and how many right ones they keep.

    put right = share of the labels that noise made wrong whose largest entry is now the true class
    kept      = share of the labels that noise left right whose largest entry is still the true class

The best few learned trials stand out; every other learned trial is a thin grey line behind them.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import style
from analysis.frames.sweep_frame import SweepFrame

FEW = 3  # learned trials that stand out
PANELS = {
    "noisy_labels_corrected": "wrong labels put right (%)",
    "clean_labels_kept": "right labels kept (%)",
}
MARGIN = 15  # percentage points that the scale reaches below the trials that stand out
LINES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), "-.")


def figure(study: SweepFrame, few: int = FEW) -> Figure:
    """Both plots side by side."""
    drawn = Figure(figsize=(style.WIDTH, 3.1))
    plots = drawn.subplots(1, 2, sharex=True)
    if not measured(study):
        style.say(plots[0], "no label was made wrong in this sweep")
        plots[1].set_axis_off()
        return drawn
    for axes, metric in zip(plots, PANELS, strict=True):
        _plot(axes, study, metric, few)
    handles, labels = plots[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=2, handlelength=3)
    return drawn


def panels(study: SweepFrame, few: int = FEW) -> list[Figure]:
    """The two plots, each a picture of its own; none where no label was made wrong."""
    pictures = []
    for metric in PANELS if measured(study) and study.learned else ():
        drawn, axes = style.panel(3.7)
        _plot(axes, study, metric, few)
        drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=1, handlelength=3)
        pictures.append(drawn)
    return pictures


def measured(study: SweepFrame) -> bool:
    """Whether labels were made wrong, so that there is something to put right."""
    return bool((study.curves["metric"] == "noisy_labels_corrected").any())


def _plot(axes: Axes, study: SweepFrame, metric: str, few: int) -> None:
    _draw(axes, study, metric, few)
    axes.set_xlabel("epoch")
    axes.set_ylabel(PANELS[metric])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw(axes: Axes, study: SweepFrame, metric: str, few: int) -> None:
    lowest: list[float] = []
    line: dict[str, Any]
    for arm in study.learned:
        best = study.best(arm, few)
        chosen = [int(trial) for trial in best["trial"]]
        others = study.trials[(study.trials["arm"] == arm) & ~study.trials["trial"].isin(chosen)]
        for place, trial in enumerate(others["trial"]):
            curve = study.curve(int(trial), metric)
            label = "other learned trials" if place == 0 else None
            line = {"color": "0.75", "linewidth": 0.7, "zorder": 1, "label": label, "gid": style.marks([trial])}
            axes.plot(curve["step"], 100 * curve["value"], **line)
        for rank, (_, row) in enumerate(best.iterrows()):
            curve = study.curve(int(row["trial"]), metric)
            line = {
                "gid": style.marks([row["trial"]]),
                "linestyle": LINES[rank % len(LINES)],
                "linewidth": 1.8 - 0.3 * rank,
                "alpha": 1 - 0.2 * rank,
            }
            label = f"{row['name']} (label_lr {row['params.label_lr']:.2g}, interval {row['params.meta_interval']:.0f})"
            axes.plot(curve["step"], 100 * curve["value"], color=style.BLUE, zorder=3, label=label, **line)
            lowest.append(100 * float(curve["value"].min()))
    axes.set_ylim(max(-2.0, min(lowest, default=0.0) - MARGIN), 102)
