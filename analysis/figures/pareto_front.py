"""Several objectives against each other: every complete trial, and the Pareto front, which a gain in one leaves only by
a loss in another.

Who is on the front is read from the sweep's summary, which knows what constraints a trial kept.
"""

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import style
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
"""An objective's axis, and what its values are multiplied with there."""


def panels(study: SweepFrame, summary: SweepSummary) -> list[Figure]:
    """The first objective against each of the others, a picture each; none where there is no front."""
    if not summary.front:
        return []
    return [_panel(study, summary, other) for other in summary.objectives[1:]]


def _panel(study: SweepFrame, summary: SweepSummary, other: Objective) -> Figure:
    drawn, axes = style.panel(3.8)
    first = summary.objective
    (x, x_scale), (y, y_scale) = AXES[other.metric], AXES[first.metric]
    columns = [f"metrics.{other.metric}", f"metrics.{first.metric}"]
    complete = study.trials[study.trials["state"] == "complete"].dropna(subset=columns)
    members = {member.trial for member in summary.front}
    for arm, pen in style.pens(study.learned, study.baselines).items():
        rows = complete[complete["arm"] == arm]
        for on, look in ((False, {"s": 14, "alpha": 0.45}), (True, {"s": 46, "edgecolor": "0.15", "zorder": 4})):
            some = rows[rows["trial"].isin(members) == on]
            axes.scatter(
                x_scale * some[columns[0]],
                y_scale * some[columns[1]],
                marker=pen.marker,
                color=pen.color,
                label=arm if on else None,
                gid=style.marks(some["trial"]) if len(some) else None,
                **look,
            )
    if len(summary.objectives) == 2:
        _draw_front(axes, summary, (x_scale, y_scale))
    axes.set_xlabel(f"{x}, {_better(other)}")
    axes.set_ylabel(f"{y}, {_better(first)}")
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return drawn


def _draw_front(axes: Axes, summary: SweepSummary, scales: tuple[float, float]) -> None:
    """A stair: what lies beyond it, nobody reached. With more objectives than two it is no line in any picture."""
    first, other = (objective.metric for objective in summary.objectives)
    points = sorted((scales[0] * member.values[other], scales[1] * member.values[first]) for member in summary.front)
    # From one member to the next, the other objective stays as it is until the first one's better value is paid for.
    where: Literal["post", "pre"] = "post" if summary.objectives[1].direction == "minimize" else "pre"
    axes.step(*zip(*points, strict=True), where=where, color="0.3", linewidth=1, zorder=2, label="Pareto front")


def _better(objective: Objective) -> str:
    return "more is better" if objective.direction == "maximize" else "less is better"
