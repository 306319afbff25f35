"""The response surface of label_lr × meta_interval, and how little so few trials say of it.

A Gaussian process (Rasmussen and Williams 2006) is fitted to the accuracies of the complete trials over every number
that was searched, each on its log or linear scale:

    y_i = m + f(x_i) + e_i      f ~ GP(0, s² · Matérn_5/2(x, x'; one length a parameter))
    Var e_i = a_i (1 - a_i) / n_i + v       the n_i validation images of trial i; and what seeds add, v, fitted

Shown is f over the two knobs, the other parameters held at those of the best trial: left its mean, right half the
width of its 95 % interval. The dashed line is around every place that may be as good as the best one, but for half a
point: that is what the 95 % interval of f(best) - f(x), with both uncertain and dependent, begins below.

Accuracies far below the others (of trials that diverged) are taken at the lower edge of the scale, or the surface
would be all cliff.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.response import INTERVALS, lowest_shown
from analysis.frames.sweep_frame import VALUE, SweepFrame, Z

FEWEST = 8  # complete trials below which there is no surface to speak of
MOST = 300  # trials that a fit takes: its cost is their number cubed
NONE = f"no response surface: fewer than {FEWEST} complete learned trials, or a knob that was not searched"
KNOBS = ("label_lr", "meta_interval")
GRID = 32
DECADE = 10.0
MARGIN = 0.005  # a difference that nobody minds, as a fraction
LENGTHS = (0.15, 10.0)  # of the cube's edge: a shorter one would say that each trial is a world of its own
LEVELS = 12  # shades, at most


@dataclass(frozen=True)
class Surface:
    """Over `rates` [GRID] × `intervals` [GRID], in points: `mean`, `half` (of the 95 % interval) and `level`, whether
    a place may be as good as the best one, all [intervals, rates].

    `held`: the other parameters and their values; `left_out`: searched ones that are no numbers; `trials`: [n, 3],
    label_lr, meta_interval and accuracy of those that it was fitted to; `noise`: the standard deviation of one trial.
    """

    arm: str
    rates: NDArray[np.float64]
    intervals: NDArray[np.float64]
    mean: NDArray[np.float64]
    half: NDArray[np.float64]
    level: NDArray[np.bool_]
    held: dict[str, float]
    left_out: list[str]
    trials: NDArray[np.float64]
    noise: float


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    log: bool

    def to(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Onto [0, 1]."""
        low, high = self._ends()
        return ((np.log(values) if self.log else values) - low) / (high - low)

    def grid(self) -> NDArray[np.float64]:
        low, high = self._ends()
        even = np.linspace(low, high, GRID)
        return np.exp(even) if self.log else even

    def _ends(self) -> tuple[float, float]:
        return (float(np.log(self.low)), float(np.log(self.high))) if self.log else (self.low, self.high)


def surface(study: SweepFrame, arm: str) -> Surface | None:
    """None where there are too few complete trials, or where one of the two knobs was not searched."""
    rows = study.best(arm, MOST)
    varied = study.varied(arm)
    if len(rows) < FEWEST or any(name not in varied or rows[f"params.{name}"].nunique() < 2 for name in KNOBS):
        return None
    numbers = [name for name in varied if rows[f"params.{name}"].dtype.kind in "iuf" and name not in KNOBS]
    names = [*KNOBS, *(name for name in numbers if rows[f"params.{name}"].nunique() > 1)]
    columns = {name: rows[f"params.{name}"].to_numpy(dtype=np.float64) for name in names}
    scales = {name: _scale(values, log=name in KNOBS) for name, values in columns.items()}
    places = np.stack([scales[name].to(columns[name]) for name in names], axis=1)
    accuracy = rows[VALUE].to_numpy(dtype=np.float64)
    images = rows["params.val_size"].to_numpy(dtype=np.float64) * study.seeds_per_trial
    values = np.maximum(accuracy, lowest_shown(pd.Series(accuracy)))
    chance = np.clip(accuracy * (1 - accuracy), 0.01, None) / images
    held = {name: float(columns[name][0]) for name in names[2:]}  # rows are the best first
    rates, intervals = (scales[name].grid() for name in KNOBS)
    across, up = np.meshgrid(scales["label_lr"].to(rates), scales["meta_interval"].to(intervals))
    rest = [np.full(across.size, scales[name].to(np.array([value]))[0]) for name, value in held.items()]
    grid = np.stack([across.ravel(), up.ravel(), *rest], axis=1)
    mean, covariance, noise = _fit(places, values, chance, grid)
    spread = np.sqrt(np.clip(np.diag(covariance), 0, None))
    top = int(mean.argmax())
    apart = np.clip(np.diag(covariance) + covariance[top, top] - 2 * covariance[top], 0, None)
    level = mean[top] - mean - Z * np.sqrt(apart) <= MARGIN
    shape = across.shape
    return Surface(
        arm=arm,
        rates=rates,
        intervals=intervals,
        mean=100 * mean.reshape(shape),
        half=100 * Z * spread.reshape(shape),
        level=level.reshape(shape),
        held=held,
        left_out=[name for name in varied if name not in names],
        trials=np.stack([columns["label_lr"], columns["meta_interval"], 100 * accuracy], axis=1),
        noise=100 * float(np.sqrt(chance.mean() + noise)),
    )


def _scale(values: NDArray[np.float64], log: bool) -> _Scale:
    low, high = float(values.min()), float(values.max())
    return _Scale(low, high, low > 0 and (log or high / low >= DECADE))


def _fit(
    places: NDArray[np.float64], values: NDArray[np.float64], chance: NDArray[np.float64], grid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The mean [g] and covariance [g, g] of f at `grid` [g, d], and the variance that seeds add to one trial."""
    from sklearn.exceptions import ConvergenceWarning  # half a second: not for a sweep without such a figure
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    middle, width = float(values.mean()), float(values.std()) or 1.0
    smooth = ConstantKernel(1.0, (0.05, 20.0)) * Matern([0.5] * places.shape[1], LENGTHS, nu=2.5)
    kernel = smooth + WhiteKernel(0.1, (1e-4, 2.0))
    process = GaussianProcessRegressor(kernel, alpha=chance / width**2, n_restarts_optimizer=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: the parameter does not decide
        process.fit(places, (values - middle) / width)
    seeds = float(process.kernel_.k2.noise_level)
    mean, covariance = process.predict(grid, return_cov=True)
    # The covariance that scikit-learn gives is of another measured trial, with WhiteKernel's variance on its diagonal.
    covariance = covariance - seeds * np.eye(len(grid))
    return middle + width * mean, width**2 * covariance, width**2 * seeds


def words(found: Surface) -> str:
    """What the surface is of, and where its best place lies."""
    row, column = np.unravel_index(int(found.mean.argmax()), found.mean.shape)
    held = ", ".join(f"{name} {value:.3g}" for name, value in found.held.items())
    half = float(found.half[row, column])
    return (
        f"{found.arm}: a Gaussian process fitted to {len(found.trials)} complete trials"
        + (f", at the best trial's {held}" if held else "")
        + (f", over all values of {', '.join(found.left_out)}" if found.left_out else "")
        + f". Its best place is label_lr {found.rates[column]:.2g}, meta_interval {found.intervals[row]:.0f}: "
        f"{found.mean[row, column]:.1f} ± {half:.1f} %. {100 * found.level.mean():.0f} % of the area (log scales) "
        f"may be as good, but for {100 * MARGIN:g} points; one more trial at a place would scatter by a standard "
        f"deviation of {found.noise:.1f} points."
    )


def said(study: SweepFrame) -> str:
    """`words` of every learned arm that has a surface, a line each."""
    found = [surface(study, arm) for arm in study.learned]
    return "\n".join(words(each) for each in found if each is not None) or NONE


def figure(study: SweepFrame) -> Figure:
    """Mean and uncertainty of every learned arm side by side, or why there is no surface."""
    arms = study.learned or [""]
    drawn = Figure(figsize=(style.WIDTH, 3.2 * len(arms)))
    rows = drawn.subplots(len(arms), 2, squeeze=False)
    for arm, (left, right) in zip(arms, rows, strict=True):
        found = surface(study, arm)
        if found is None:
            style.say(left, NONE.replace(", or", ",\nor"))
            right.set_axis_off()
            continue
        _draw_mean(drawn, left, found)
        _draw_half(drawn, right, found)
        if len(arms) > 1:
            left.set_title(arm)
    return drawn


def panels(found: Surface) -> list[Figure]:
    """Mean and uncertainty, each a picture of its own."""
    (first, left), (second, right) = style.panel(), style.panel()
    _draw_mean(first, left, found)
    _draw_half(second, right, found)
    return [first, second]


def _draw_mean(drawn: Figure, axes: Axes, found: Surface) -> None:
    # Over the scale of the trials: a surface that is flat beside them is to look flat.
    shown = np.append(found.mean, [lowest_shown(pd.Series(found.trials[:, 2])), found.trials[:, 2].max()])
    span = (float(shown.min()), float(shown.max()))
    shades = _contours(axes, found, found.mean, span, "validation accuracy (%)", drawn)
    if not found.level.all():
        edge = (found.rates, found.intervals, found.level.astype(float), [0.5])
        axes.contour(*edge, colors="white", linewidths=2.6, zorder=2)
        axes.contour(*edge, colors="0.1", linewidths=1.3, linestyles="dashed", zorder=2)
    levels = np.asarray(shades.levels)
    axes.scatter(
        found.trials[:, 0],
        found.trials[:, 1],
        c=found.trials[:, 2],
        vmin=levels[0],
        vmax=levels[-1],
        cmap=style.MAP,
        s=22,
        edgecolors="white",
        linewidths=0.9,
        zorder=3,
        clip_on=False,
    )
    row, column = np.unravel_index(int(found.mean.argmax()), found.mean.shape)
    star: dict[str, Any] = {"markersize": 12, "markeredgecolor": "0.1", "markerfacecolor": "white", "zorder": 4}
    axes.plot(found.rates[column], found.intervals[row], marker="*", linestyle="none", clip_on=False, **star)


def _draw_half(drawn: Figure, axes: Axes, found: Surface) -> None:
    _contours(axes, found, found.half, (0.0, float(found.half.max())), "± at 95 % (points)", drawn)
    places = (found.trials[:, 0], found.trials[:, 1])
    axes.scatter(*places, c="white", s=16, edgecolors="0.1", linewidths=0.6, zorder=3, clip_on=False)


def _contours(
    axes: Axes, found: Surface, values: NDArray[np.float64], span: tuple[float, float], label: str, drawn: Figure
) -> QuadContourSet:
    levels = MaxNLocator(LEVELS, steps=[1, 2, 5, 10]).tick_values(span[0], max(span[1], span[0] + 0.1))
    shades = axes.contourf(found.rates, found.intervals, values, levels, cmap=style.MAP)
    drawn.colorbar(shades, ax=axes, label=label, pad=0.02, aspect=28)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    fewest, most = found.intervals.min(), found.intervals.max()
    axes.yaxis.set_major_locator(FixedLocator([k for k in INTERVALS if fewest <= k <= most]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("label learning rate")
    axes.set_ylabel("meta-interval (model steps per label update)")
    axes.grid(visible=False)
    return shades
