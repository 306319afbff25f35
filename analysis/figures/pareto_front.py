"""Several objectives against each other: every complete trial, and the Pareto front.

A trial is on the front where no other is as good in every objective and better in one. Which ones are is read from the
sweep's summary, as that knows the constraints of the search.
"""

from typing import Any, Literal

from matplotlib.axes import Axes

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import SweepFrame
from harness.results import SweepSummary
from harness.space.document import Objective

AXES = {
    "val_accuracy": ("validation accuracy (%)", 100),
    "val_loss": ("validation loss (nats)", 1),
    "val_calibration_error": ("expected calibration error (%)", 100),
    "epochs": ("epochs", 1),
    "busy_seconds": ("busy seconds", 1),
}
"""An objective's axis label, and what its values are multiplied with there."""

OFF_FRONT: dict[str, Any] = {"s": 14, "alpha": 0.45}
ON_FRONT: dict[str, Any] = {"s": 46, "edgecolor": "0.15", "zorder": 4}


def plots(sweep: SweepFrame, summary: SweepSummary) -> Plots:
    """The first objective against each of the others."""
    if not summary.front:
        return ["no trial is complete yet"]
    return [
        Plot(lambda axes, other=other: _draw(axes, sweep, summary, other), height=3.8, legend_columns=3)  # type: ignore[misc]
        for other in summary.objectives[1:]
    ]


def _draw(axes: Axes, sweep: SweepFrame, summary: SweepSummary, other: Objective) -> None:
    first = summary.objective
    (x_label, x_scale), (y_label, y_scale) = AXES[other.metric], AXES[first.metric]
    x, y = f"metrics.{other.metric}", f"metrics.{first.metric}"
    complete = sweep.trials[sweep.trials["state"] == "complete"].dropna(subset=[x, y])
    on_front = complete["trial"].isin([member.trial for member in summary.front])
    for arm, arm_style in style.arm_styles(sweep.learned, sweep.baselines).items():
        for chosen, options in ((on_front, ON_FRONT | {"label": arm}), (~on_front, OFF_FRONT)):
            rows = complete[(complete["arm"] == arm) & chosen]
            gid = style.trial_id(rows["trial"]) if len(rows) else None
            points = (x_scale * rows[x], y_scale * rows[y])
            axes.scatter(*points, marker=arm_style.marker, color=arm_style.color, gid=gid, **options)
    if len(summary.objectives) == 2:
        _draw_front(axes, summary, (x_scale, y_scale))
    axes.set_xlabel(f"{x_label}, {_direction(other)}")
    axes.set_ylabel(f"{y_label}, {_direction(first)}")


def _draw_front(axes: Axes, summary: SweepSummary, scales: tuple[float, float]) -> None:
    """A stair; with more than two objectives the front is no line in any picture."""
    first, other = (objective.metric for objective in summary.objectives)
    points = sorted((scales[0] * member.values[other], scales[1] * member.values[first]) for member in summary.front)
    # between two members the first objective stays at the value of the one that is worse in it
    where: Literal["post", "pre"] = "post" if summary.objectives[1].direction == "minimize" else "pre"
    axes.step(*zip(*points, strict=True), where=where, color="0.3", linewidth=1, zorder=2, label="Pareto front")


def _direction(objective: Objective) -> str:
    return "more is better" if objective.direction == "maximize" else "less is better"
