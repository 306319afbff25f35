"""What a confirmation measured on the test part: each configuration on each fresh seed, and the pairs of a verdict.

    d_s = test accuracy of the configuration on seed s - that of the baseline on seed s

A seed draws the split, the noise, the weights and the order, the same for both: what makes a seed easy or hard falls
out of the difference, which is what the verdict is about. Thick bars are 95 % intervals over the seeds, each by itself;
thin ones the interval that holds for all configurations that were looked at together (`harness.confirm`).
"""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.frames.sweep_frame import SweepFrame
from harness.common.formatting import sentence
from harness.results import Confirmation, ResultFileError
from harness.results.measurement import Interval
from harness.tracking.tracking_uri import TrackingError

DOTS: dict[str, Any] = {"s": 13, "alpha": 0.55, "linewidths": 0}
TABLE = ["configuration", "baseline", "n", "difference", "low", "high", "corrected_low", "corrected_high", "p_value"]


@dataclass(frozen=True)
class Pair:
    """A configuration against a baseline, on the seeds that both completed: accuracies in percent, in their order."""

    name: str
    baseline: str
    arm: str
    baseline_arm: str
    ours: list[float]
    theirs: list[float]
    mean: float
    interval: tuple[float, float] | None
    corrected: tuple[float, float] | None

    @property
    def differences(self) -> list[float]:
        return [one - other for one, other in zip(self.ours, self.theirs, strict=True)]


def load(study: SweepFrame) -> Confirmation | str:
    """The newest confirmation of the sweep; else why there is none."""
    name = study.sweep.name
    with TemporaryDirectory() as folder:
        try:
            return Confirmation.load(study.sweep.artifact(Confirmation.FILE, Path(folder)))
        except (TrackingError, ResultFileError):
            return f"{name} is not confirmed on fresh seeds: python -m harness.confirm {name}"


def verdict(found: Confirmation | str) -> str:
    """The sentence and its notes, in lines that a notebook shows whole."""
    if isinstance(found, str):
        return found
    return "\n".join(textwrap.fill(line, 110) for line in (sentence(found.verdict), *found.notes))


def pairs(found: Confirmation) -> list[Pair]:
    """The configuration that the verdict is about against every baseline, the closest first; none where it has none."""
    if found.gain is None:
        return []
    results = {name: one for _, name, one in found.ranked()}
    paired = []
    for row in found.comparisons:
        if (row.arm, row.trial) != (found.gain.arm, found.gain.trial):
            continue
        ours, theirs = results[row.name], results[row.baseline_name]
        values = dict(zip(theirs.seeds, theirs.test_accuracy, strict=True))
        both = [pair for pair in zip(ours.seeds, ours.test_accuracy, strict=True) if pair[0] in values]
        paired.append(
            Pair(
                name=row.name,
                baseline=row.baseline_name,
                arm=row.arm,
                baseline_arm=row.baseline,
                ours=[100 * value for _, value in both],
                theirs=[100 * values[seed] for seed, _ in both],
                mean=100 * row.mean_difference,
                interval=_percent(row.ci95),
                corrected=_percent(row.ci95_corrected),
            )
        )
    return sorted(paired, key=lambda pair: pair.mean)


def comparisons(found: Confirmation | str) -> pd.DataFrame:
    """Every configuration of every arm against every baseline, in points."""
    rows = []
    for row in [] if isinstance(found, str) else found.comparisons:
        ends = [None if end is None else 100 * end for end in (*row.ci95, *row.ci95_corrected)]
        rows.append([row.name, row.baseline_name, row.n, 100 * row.mean_difference, *ends, row.p_value])
    return pd.DataFrame(rows, columns=TABLE).round(3)


def figure(found: Confirmation | str) -> Figure:
    """Every configuration on every seed, or why there is none."""
    drawn = None if isinstance(found, str) else panel(found)
    if drawn is None:
        return _saying(found if isinstance(found, str) else found.verdict)
    drawn.set_size_inches(style.WIDTH, drawn.get_size_inches()[1])
    return drawn


def panel(found: Confirmation) -> Figure | None:
    """One row per configuration: a dot per seed, the mean and its 95 % interval; None where nothing was measured."""
    rows = [(arm, name, one) for arm, name, one in reversed(found.ranked()) if one.n]
    if not rows:
        return None
    drawn, axes = style.panel(1.1 + 0.4 * len(rows))
    pens = _pens(found)
    for place, (arm, _, one) in enumerate(rows):
        values = [100 * value for value in one.test_accuracy]
        _draw_row(axes, place, pens[arm], values, sum(values) / len(values), _percent(one.ci95), None)
    _name_rows(axes, [name for _, name, _ in rows])
    axes.set_xlabel("test accuracy (%)")
    return drawn


def paired(found: Confirmation | str) -> Figure:
    """Each seed a line from the baselines to the configuration, beside the differences; or why there are none."""
    rows = [] if isinstance(found, str) else pairs(found)
    if isinstance(found, str) or not rows:
        return _saying(found if isinstance(found, str) else found.verdict)
    drawn = Figure(figsize=(style.WIDTH, max(3.0, 1.3 + 0.4 * len(rows))))
    left, right = drawn.subplots(1, 2, width_ratios=(1, 1.25))
    _draw_lines(left, found, rows[0])
    _draw_differences(right, found, rows)
    return drawn


def pair_panels(found: Confirmation) -> list[Figure]:
    """The two plots, each a picture of its own; none without a pair."""
    rows = pairs(found)
    if not rows:
        return []
    (first, left), (second, right) = style.panel(), style.panel(1.2 + 0.5 * len(rows))
    _draw_lines(left, found, rows[0])
    _draw_differences(right, found, rows)
    return [first, second]


def _draw_lines(axes: Axes, found: Confirmation, pair: Pair) -> None:
    """A line a seed, from the baseline that comes closest to the configuration of the verdict."""
    pens = _pens(found)
    for ours, theirs in zip(pair.ours, pair.theirs, strict=True):
        up = ours >= theirs
        axes.plot([0, 1], [theirs, ours], color="0.3" if up else "0.55", linestyle="-" if up else "--", linewidth=0.9)
    for place, (arm, values) in enumerate([(pair.baseline_arm, pair.theirs), (pair.arm, pair.ours)]):
        pen = pens[arm]
        axes.scatter([place] * len(values), values, s=22, color=pen.color, marker=pen.marker, zorder=3)
        aside = place + (0.12 if place else -0.12)
        axes.plot([aside - 0.06, aside + 0.06], [sum(values) / len(values)] * 2, color=pen.color, linewidth=2.5)
    axes.set_xticks([0, 1], [pair.baseline, pair.name])
    axes.set_xlim(-0.35, 1.35)
    axes.set_ylabel("test accuracy (%), a line a seed")
    axes.grid(axis="x", visible=False)


def _draw_differences(axes: Axes, found: Confirmation, rows: list[Pair]) -> None:
    pens = _pens(found)
    axes.axvline(0, color="0.15", linewidth=0.9, zorder=1)
    for place, pair in enumerate(reversed(rows)):
        pen = pens[pair.baseline_arm]
        _draw_row(axes, place, pen, pair.differences, pair.mean, pair.interval, pair.corrected)
    _name_rows(axes, [pair.baseline for pair in reversed(rows)])
    axes.set_xlabel(f"{rows[0].name} minus baseline (points)")


def _draw_row(
    axes: Axes,
    place: int,
    pen: style.Pen,
    values: list[float],
    mean: float,
    interval: tuple[float, float] | None,
    corrected: tuple[float, float] | None,
) -> None:
    """A dot a value; below, the mean and its intervals."""
    axes.scatter(values, [place + 0.16] * len(values), color=pen.color, **DOTS)
    for bounds, width in ((corrected, 0.8), (interval, 2.0)):
        if bounds is not None:
            axes.plot(bounds, [place - 0.12] * 2, color=pen.color, linewidth=width)
    axes.plot([mean], [place - 0.12], marker=pen.marker, color=pen.color, markersize=6)


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis="y", visible=False)


def _pens(found: Confirmation) -> dict[str, style.Pen]:
    arms = {role: [arm for arm, each in found.arms.items() if each.role == role] for role in ("arm", "baseline")}
    return style.pens(arms["arm"], arms["baseline"])


def _percent(interval: Interval | None) -> tuple[float, float] | None:
    """None where an end is not known: too few seeds."""
    ends = interval.ends if interval else None
    return None if ends is None else (100 * ends[0], 100 * ends[1])


def _saying(words: str) -> Figure:
    drawn = Figure(figsize=(style.WIDTH, 1.0))
    style.say(drawn.subplots(), words)
    return drawn
