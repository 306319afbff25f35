"""Test accuracy of a confirmation: each configuration on each fresh seed, and the paired differences of the verdict.

    d_s = test accuracy of the configuration on seed s - that of the baseline on seed s

A seed draws the split, the noise, the weights and the order, the same for both: what makes a seed easy or hard falls
out of the difference, which is what the verdict is about. Thick bars are 95 % intervals over the seeds, each by itself;
thin ones the interval that holds for all configurations that were tested together (`harness.confirm`).
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from matplotlib.axes import Axes

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import SweepFrame
from harness.common.formatting import as_sentence
from harness.results import Confirmation, ResultFileError
from harness.results.confirmation import Comparison
from harness.results.measurement import ConfigurationResults, Interval
from harness.tracking.tracking_uri import TrackingError

COLUMNS = ["configuration", "baseline", "n", "difference", "low", "high", "corrected_low", "corrected_high", "p_value"]


def load(sweep: SweepFrame) -> Confirmation | str:
    """The newest confirmation of the sweep; a sentence where there is none."""
    name = sweep.sweep.name
    with TemporaryDirectory() as folder:
        try:
            return Confirmation.load(sweep.sweep.artifact(Confirmation.FILE, Path(folder)))
        except (TrackingError, ResultFileError):
            return f"{name} is not confirmed on fresh seeds: python -m harness.confirm {name}"


def verdict(result: Confirmation | str) -> str:
    """The verdict and its notes, in lines that a notebook shows whole."""
    if isinstance(result, str):
        return result
    return "\n".join(textwrap.fill(line, 110) for line in (as_sentence(result.verdict), *result.notes))


def comparison_table(result: Confirmation | str) -> pd.DataFrame:
    """Every configuration of every arm against every baseline, in points."""
    rows = []
    for row in [] if isinstance(result, str) else result.comparisons:
        ends = [None if end is None else 100 * end for end in (*row.ci95, *row.ci95_corrected)]
        rows.append([row.name, row.baseline_name, row.n, 100 * row.mean_difference, *ends, row.p_value])
    return pd.DataFrame(rows, columns=COLUMNS).round(3)


def verdict_comparisons(result: Confirmation) -> list[Comparison]:
    """The configuration of the verdict against each baseline, the closest first; empty without a baseline."""
    gain = result.gain
    rows = [row for row in result.comparisons if gain and (row.arm, row.trial) == (gain.arm, gain.trial)]
    return sorted(rows, key=lambda row: row.mean_difference)


def configuration_plots(result: Confirmation | str) -> Plots:
    """One row per configuration: a dot for each seed; below, the mean and its 95 % interval."""
    rows = [] if isinstance(result, str) else [results for _, _, results in reversed(result.ranked()) if results.n]
    if isinstance(result, str) or not rows:
        return [result if isinstance(result, str) else result.verdict]
    return [Plot(lambda axes: _draw_configurations(axes, result, rows), height=1.1 + 0.4 * len(rows))]


def paired_plots(result: Confirmation | str) -> Plots:
    """The seeds of the verdict's configuration and of the closest baseline; the differences from every baseline."""
    rows = [] if isinstance(result, str) else verdict_comparisons(result)
    if isinstance(result, str) or not rows:
        return [result if isinstance(result, str) else result.verdict]
    return [
        Plot(lambda axes: _draw_pairs(axes, result, rows[0])),
        Plot(lambda axes: _draw_differences(axes, result, rows), height=1.2 + 0.5 * len(rows), width=1.25),
    ]


def _draw_configurations(axes: Axes, result: Confirmation, rows: list[ConfigurationResults]) -> None:
    for height, results in enumerate(rows):
        arm_style = _arm_styles(result)[results.arm]
        mean, intervals = results.test_accuracy_mean or 0.0, [(results.ci95, 2.0)]
        _draw_row(axes, height, arm_style, results.test_accuracy, mean, intervals)
    style.name_rows(axes, [results.name for results in rows])
    axes.set_xlabel("test accuracy (%)")


def _draw_pairs(axes: Axes, result: Confirmation, row: Comparison) -> None:
    configurations = {name: results for _, name, results in result.ranked()}
    theirs, ours = configurations[row.baseline_name], configurations[row.name]
    accuracy = dict(zip(theirs.seeds, theirs.test_accuracy, strict=True))
    pairs = [
        (100 * accuracy[seed], 100 * value)
        for seed, value in zip(ours.seeds, ours.test_accuracy, strict=True)
        if seed in accuracy
    ]
    for pair in pairs:
        better = pair[1] >= pair[0]
        axes.plot([0, 1], pair, color="0.3" if better else "0.55", linestyle="-" if better else "--", linewidth=0.9)
    for x, (results, values) in enumerate(zip((theirs, ours), zip(*pairs, strict=True), strict=True)):
        arm_style = _arm_styles(result)[results.arm]
        axes.scatter([x] * len(values), values, s=22, color=arm_style.color, marker=arm_style.marker, zorder=3)
        beside = x + (0.12 if x else -0.12)
        axes.plot([beside - 0.06, beside + 0.06], [sum(values) / len(values)] * 2, color=arm_style.color, linewidth=2.5)
    axes.set_xticks([0, 1], [theirs.name, ours.name])
    axes.set_xlim(-0.35, 1.35)
    axes.set_ylabel("test accuracy (%), a line per seed")
    axes.grid(axis="x", visible=False)


def _draw_differences(axes: Axes, result: Confirmation, rows: list[Comparison]) -> None:
    configurations = {name: results for _, name, results in result.ranked()}
    axes.axvline(0, color="0.15", linewidth=0.9, zorder=1)
    for height, row in enumerate(reversed(rows)):
        differences = configurations[row.name].differences(configurations[row.baseline_name])
        intervals = [(row.ci95_corrected, 0.8), (row.ci95, 2.0)]
        _draw_row(axes, height, _arm_styles(result)[row.baseline], differences, row.mean_difference, intervals)
    style.name_rows(axes, [row.baseline_name for row in reversed(rows)])
    axes.set_xlabel(f"{rows[0].name} minus baseline (points)")


def _draw_row(
    axes: Axes,
    height: int,
    arm_style: style.ArmStyle,
    values: list[float],
    mean: float,
    intervals: Sequence[tuple[Interval | None, float]],
) -> None:
    """A dot per value; below, the mean and its intervals, each with a line width. Fractions are drawn in percent."""
    color = arm_style.color
    axes.scatter([100 * value for value in values], [height + 0.16] * len(values), 13, color, alpha=0.55, linewidths=0)
    for interval, width in intervals:
        if interval is not None and interval.ends is not None:  # an end is not known where seeds are too few
            axes.plot([100 * end for end in interval.ends], [height - 0.12] * 2, color=color, linewidth=width)
    axes.plot([100 * mean], [height - 0.12], marker=arm_style.marker, color=color, markersize=6)


def _arm_styles(result: Confirmation) -> dict[str, style.ArmStyle]:
    arms = {role: [arm for arm, results in result.arms.items() if results.role == role] for role in ("arm", "baseline")}
    return style.arm_styles(arms["arm"], arms["baseline"])
