"""What a confirmation measured on the test part: each configuration on each fresh seed, and the pairs of a verdict.

    d_s = test accuracy of the configuration on seed s - that of the baseline on seed s

A seed draws the split, the noise, the weights and the order, the same for both: what makes a seed easy or hard falls
out of the difference, which is what the verdict is about. Thick bars are 95 % intervals over the seeds, each by itself;
thin ones the interval that holds for all configurations that were looked at together (`harness.confirm`).
"""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.frames.sweep_frame import Study
from harness.common.json_files import read_json
from harness.tracking.tracking_uri import TrackingError

Findings = Mapping[str, Any]
FILE = "confirm.json"
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


def load(study: Study) -> Findings | str:
    """What the newest confirmation of the sweep found; else why there is none."""
    name = study.sweep.name
    with TemporaryDirectory() as folder:
        try:
            found = read_json(study.sweep.artifact(FILE, Path(folder)))
        except TrackingError:
            found = None
    if found is not None:
        return found
    return f"{name} is not confirmed on fresh seeds: python -m harness.confirm {name}"


def verdict(found: Findings | str) -> str:
    """The sentence and its notes, in lines that a notebook shows whole."""
    if isinstance(found, str):
        return found
    sentence = str(found["verdict"])
    lines = [sentence[:1].upper() + sentence[1:] + ".", *map(str, found.get("notes", []))]
    return "\n".join(textwrap.fill(line, 110) for line in lines)


def configurations(findings: Findings) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(arm, name, numbers) of each, arms before baselines, the best mean on the validation parts first."""
    for role in ("arm", "baseline"):
        own = [
            (arm, name, one)
            for arm, each in findings["arms"].items()
            if each["role"] == role
            for name, one in each["configurations"].items()
        ]
        yield from sorted(own, key=lambda item: -(item[2]["val_accuracy_mean"] or 0.0))


def pairs(findings: Findings) -> list[Pair]:
    """The configuration that the verdict is about against every baseline, the closest first; none where it has none."""
    gain = findings.get("gain")
    if gain is None:
        return []
    by_trial = {(arm, one["trial"]): (name, one) for arm, name, one in configurations(findings)}
    found = []
    for row in findings["comparisons"]:
        if (row["arm"], row["trial"]) == (gain["arm"], gain["trial"]):
            name, ours = by_trial[row["arm"], row["trial"]]
            baseline, theirs = by_trial[row["baseline"], row["baseline_trial"]]
            values = dict(zip(theirs["seeds"], theirs["test_accuracy"], strict=True))
            both = [pair for pair in zip(ours["seeds"], ours["test_accuracy"], strict=True) if pair[0] in values]
            found.append(
                Pair(
                    name=name,
                    baseline=baseline,
                    arm=row["arm"],
                    baseline_arm=row["baseline"],
                    ours=[100 * value for _, value in both],
                    theirs=[100 * values[seed] for seed, _ in both],
                    mean=100 * row["mean_difference"],
                    interval=_percent(row["ci95"]),
                    corrected=_percent(row["ci95_corrected"]),
                )
            )
    return sorted(found, key=lambda pair: pair.mean)


def comparisons(findings: Findings | str) -> pd.DataFrame:
    """Every configuration of every arm against every baseline, in points, as `confirm.json` has them."""
    if isinstance(findings, str):
        return pd.DataFrame(columns=TABLE)
    rows = []
    for row in findings["comparisons"]:
        bounds = [100 * b if b is not None else b for key in ("ci95", "ci95_corrected") for b in row[key]]
        names = (f"{row['arm']}-{row['trial']}", f"{row['baseline']}-{row['baseline_trial']}")
        rows.append([*names, row["n"], 100 * row["mean_difference"], *bounds, row["p_value"]])
    return pd.DataFrame(rows, columns=TABLE).round(3)


def figure(findings: Findings | str) -> Figure:
    """Every configuration on every seed, or why there is none."""
    drawn = None if isinstance(findings, str) else panel(findings)
    if drawn is None:
        return _saying(findings if isinstance(findings, str) else str(findings["verdict"]))
    drawn.set_size_inches(style.WIDTH, drawn.get_size_inches()[1])
    return drawn


def panel(findings: Findings) -> Figure | None:
    """A row a configuration: a dot a seed, the mean and its 95 % interval; None where nothing was measured."""
    rows = [(arm, name, one) for arm, name, one in configurations(findings) if one["n"]]
    if not rows:
        return None
    drawn, axes = style.panel(1.1 + 0.4 * len(rows))
    pens = _pens(findings)
    for place, (arm, _, one) in enumerate(reversed(rows)):
        values = [100 * value for value in one["test_accuracy"]]
        mean = 100 * one["test_accuracy_mean"]
        _draw_row(axes, place, pens[arm], values, mean, _percent(one["ci95"]), None)
    _name_rows(axes, [name for _, name, _ in reversed(rows)])
    axes.set_xlabel("test accuracy (%)")
    return drawn


def paired(findings: Findings | str) -> Figure:
    """Each seed a line from the baselines to the configuration, beside the differences; or why there are none."""
    found = [] if isinstance(findings, str) else pairs(findings)
    if isinstance(findings, str) or not found:
        return _saying(findings if isinstance(findings, str) else str(findings["verdict"]))
    drawn = Figure(figsize=(style.WIDTH, max(3.0, 1.3 + 0.4 * len(found))))
    left, right = drawn.subplots(1, 2, width_ratios=(1, 1.25))
    _draw_lines(left, findings, found[0])
    _draw_differences(right, findings, found)
    return drawn


def pair_panels(findings: Findings) -> list[Figure]:
    """The two plots, each a picture of its own; none without a pair."""
    found = pairs(findings)
    if not found:
        return []
    (first, left), (second, right) = style.panel(), style.panel(1.2 + 0.5 * len(found))
    _draw_lines(left, findings, found[0])
    _draw_differences(right, findings, found)
    return [first, second]


def _draw_lines(axes: Axes, findings: Findings, pair: Pair) -> None:
    """A line a seed, from the baseline that comes closest to the configuration of the verdict."""
    pens = _pens(findings)
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


def _draw_differences(axes: Axes, findings: Findings, found: list[Pair]) -> None:
    pens = _pens(findings)
    axes.axvline(0, color="0.15", linewidth=0.9, zorder=1)
    rows = list(reversed(found))
    for place, pair in enumerate(rows):
        pen = pens[pair.baseline_arm]
        _draw_row(axes, place, pen, pair.differences, pair.mean, pair.interval, pair.corrected)
    _name_rows(axes, [pair.baseline for pair in rows])
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


def _pens(findings: Findings) -> dict[str, style.Pen]:
    roles = {arm: each["role"] for arm, each in findings["arms"].items()}
    return style.pens(
        [arm for arm, role in roles.items() if role == "arm"], [arm for arm, role in roles.items() if role != "arm"]
    )


def _percent(bounds: list[float | None] | None) -> tuple[float, float] | None:
    """None where a bound is not known: too few seeds."""
    low, high = bounds or (None, None)
    return None if low is None or high is None else (100 * low, 100 * high)


def _saying(words: str) -> Figure:
    drawn = Figure(figsize=(style.WIDTH, 1.0))
    style.say(drawn.subplots(), words)
    return drawn
