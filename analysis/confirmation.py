"""What a confirmation measured: the test accuracy of each configuration on each fresh seed, its mean and interval."""

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from analysis import style


def configurations(findings: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(arm, name, numbers) of each, arms before baselines, the best mean on the validation parts first."""
    for role in ("arm", "baseline"):
        own = [
            (arm, name, one)
            for arm, each in findings["arms"].items()
            if each["role"] == role
            for name, one in each["configurations"].items()
        ]
        yield from sorted(own, key=lambda item: -(item[2]["val_accuracy_mean"] or 0.0))


def panel(findings: Mapping[str, Any]) -> Figure | None:
    """A row a configuration: a dot a seed, the mean and its 95 % interval; None where nothing was measured."""
    rows = [(arm, name, one) for arm, name, one in configurations(findings) if one["n"]]
    if not rows:
        return None
    drawn, axes = style.panel(1.1 + 0.4 * len(rows))
    roles = {arm: each["role"] for arm, each in findings["arms"].items()}
    pens = style.pens(
        [arm for arm, role in roles.items() if role == "arm"], [arm for arm, role in roles.items() if role != "arm"]
    )
    for place, (arm, _, one) in enumerate(reversed(rows)):
        pen = pens[arm]
        values = [100 * value for value in one["test_accuracy"]]
        axes.scatter(values, [place + 0.16] * len(values), s=13, color=pen.color, alpha=0.55, linewidths=0)
        mean = 100 * one["test_accuracy_mean"]
        low, high = one["ci95"] or (None, None)
        if low is not None and high is not None:
            axes.plot([100 * low, 100 * high], [place - 0.12] * 2, color=pen.color, linewidth=2)
        axes.plot([mean], [place - 0.12], marker=pen.marker, color=pen.color, markersize=6)
    axes.set_yticks(range(len(rows)), [name for _, name, _ in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("test accuracy (%)")
    axes.grid(axis="y", visible=False)
    return drawn
