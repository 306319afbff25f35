"""The response surface over label_lr × meta_interval, with its uncertainty.

A Gaussian process (Rasmussen and Williams 2006) is fitted to the accuracies of the complete trials over every numeric
parameter that was searched, each on its log or linear scale:

    y_i = m + f(x_i) + e_i      f ~ GP(0, s² · Matérn_5/2(x, x'; one length per parameter))
    Var e_i = a_i (1 - a_i) / n_i + v       n_i: validation images of trial i; v: variance between seeds, fitted

Shown is f over the two parameters, the others held at those of the best trial: left its mean, right half the width of
its 95 % interval. The dashed line is around every point that may be as good as the best one, up to half a percentage
point: where the 95 % interval of f(best) - f(x), with both uncertain and dependent, begins below that.

Accuracies far below the others (of trials that diverged) are raised to the lower edge of the scale, as the surface
would otherwise be all cliff.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.response import COLOR_BAR, interval_ticks, label_rate_axis, lowest_shown
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import VALUE, SweepFrame, Z
from harness.common.formatting import format_percent, format_settings

MIN_TRIALS = 8  # complete ones
MAX_TRIALS = 300  # the cost of a fit is their number cubed
NO_SURFACE = f"no response surface: fewer than {MIN_TRIALS} complete learned trials, or a knob that was not searched"
AXES = ("label_lr", "meta_interval")
GRID = 32
DECADE = 10.0
MARGIN = 0.005  # a difference of no practical importance, as a fraction
LENGTHS = (0.15, 10.0)  # bounds, in units of the cube's edge; a shorter length would isolate each trial
MAX_LEVELS = 12  # shades

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """Over `rates` [GRID] × `intervals` [GRID], in percent: `mean`, `half_width` (of the 95 % interval), `near_best`:
    whether a point may be as good as the best one, all [intervals, rates].

    `fixed`: the other parameters and their values; `left_out`: searched ones that are not numeric; `trials` [n, 3]:
    label_lr, meta_interval and accuracy of those fitted; `noise`: standard deviation of a single trial.
    """

    rates: Array
    intervals: Array
    mean: Array
    half_width: Array
    near_best: NDArray[np.bool_]
    fixed: dict[str, float]
    left_out: list[str]
    trials: Array
    noise: float

    @property
    def best(self) -> tuple[np.intp, ...]:
        """Row and column of the highest mean."""
        return np.unravel_index(int(self.mean.argmax()), self.mean.shape)


@dataclass(frozen=True)
class _Scale:
    """Of one parameter, over the range of its values: logarithmic or linear."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, name: str, values: Array) -> Self:
        low, high = float(values.min()), float(values.max())
        return cls(low, high, low > 0 and (name in AXES or high / low >= DECADE))

    def to_unit(self, values: Array | float) -> Array:
        """Onto [0, 1]."""
        if self.log:
            return np.asarray(np.log(values / self.low) / np.log(self.high / self.low))
        return np.asarray((values - self.low) / (self.high - self.low))

    def grid(self) -> Array:
        return (np.geomspace if self.log else np.linspace)(self.low, self.high, GRID)


def fit(sweep: SweepFrame) -> dict[str, Surface]:
    """The surface of each learned arm that has enough complete trials over both parameters."""
    surfaces = {arm: fit_arm(sweep, arm) for arm in sweep.learned}
    return {arm: surface for arm, surface in surfaces.items() if surface is not None}


def fit_arm(sweep: SweepFrame, arm: str) -> Surface | None:
    rows = sweep.best(arm, MAX_TRIALS)
    varied = sweep.varied(arm)
    if len(rows) < MIN_TRIALS or any(name not in varied or rows[f"params.{name}"].nunique() < 2 for name in AXES):
        return None
    numeric = [name for name in varied if rows[f"params.{name}"].dtype.kind in "iuf" and name not in AXES]
    names = [*AXES, *(name for name in numeric if rows[f"params.{name}"].nunique() > 1)]
    columns = {name: rows[f"params.{name}"].to_numpy(dtype=np.float64) for name in names}
    scales = {name: _Scale.of(name, values) for name, values in columns.items()}
    points = np.stack([scales[name].to_unit(columns[name]) for name in names], axis=1)
    accuracy = rows[VALUE].to_numpy(dtype=np.float64)
    images = rows["params.val_size"].to_numpy(dtype=np.float64) * sweep.seeds_per_trial
    sampling_variance = np.clip(accuracy * (1 - accuracy), 0.01, None) / images
    fixed = {name: float(columns[name][0]) for name in names[2:]}  # rows are the best first
    rates, intervals = (scales[name].grid() for name in AXES)
    x, y = np.meshgrid(scales["label_lr"].to_unit(rates), scales["meta_interval"].to_unit(intervals))
    rest = [np.full(x.size, scales[name].to_unit(value)) for name, value in fixed.items()]
    grid = np.stack([x.ravel(), y.ravel(), *rest], axis=1)
    raised = np.maximum(accuracy, lowest_shown(pd.Series(accuracy)))
    mean, covariance, seed_variance = _fit_process(points, raised, sampling_variance, grid)
    variance = np.diag(covariance)
    best = int(mean.argmax())
    deviation = np.sqrt(np.clip(variance + variance[best] - 2 * covariance[best], 0, None))
    return Surface(
        rates=rates,
        intervals=intervals,
        mean=100 * mean.reshape(x.shape),
        half_width=100 * Z * np.sqrt(np.clip(variance, 0, None)).reshape(x.shape),
        near_best=(mean[best] - mean - Z * deviation <= MARGIN).reshape(x.shape),
        fixed=fixed,
        left_out=[name for name in varied if name not in names],
        trials=np.stack([columns["label_lr"], columns["meta_interval"], 100 * accuracy], axis=1),
        noise=100 * float(np.sqrt(sampling_variance.mean() + seed_variance)),
    )


def _fit_process(points: Array, values: Array, sampling_variance: Array, grid: Array) -> tuple[Array, Array, float]:
    """The mean [g] and covariance [g, g] of f at `grid` [g, d], and the variance between seeds of one trial."""
    from sklearn.exceptions import ConvergenceWarning  # half a second: not for a sweep without such a figure
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    centre, scale = float(values.mean()), float(values.std()) or 1.0
    smooth = ConstantKernel(1.0, (0.05, 20.0)) * Matern([0.5] * points.shape[1], LENGTHS, nu=2.5)
    kernel = smooth + WhiteKernel(0.1, (1e-4, 2.0))
    process = GaussianProcessRegressor(
        kernel, alpha=sampling_variance / scale**2, n_restarts_optimizer=2, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: the parameter does not matter
        process.fit(points, (values - centre) / scale)
    seed_variance = float(process.kernel_.k2.noise_level)
    mean, covariance = process.predict(grid, return_cov=True)
    # scikit-learn's covariance is that of another measured trial, with WhiteKernel's variance on its diagonal
    covariance = covariance - seed_variance * np.eye(len(grid))
    return centre + scale * mean, scale**2 * covariance, scale**2 * seed_variance


def description(surfaces: Mapping[str, Surface]) -> str:
    """A line per arm: what its surface was fitted to, its best point, and how much of it may be as good."""
    return "\n".join(_describe(arm, surface) for arm, surface in surfaces.items()) or NO_SURFACE


def _describe(arm: str, surface: Surface) -> str:
    fixed, near_best = ", ".join(format_settings(surface.fixed)), format_percent(float(surface.near_best.mean()))
    best = {"label_lr": surface.rates[surface.best[1]], "meta_interval": round(surface.intervals[surface.best[0]])}
    return (
        f"{arm}: a Gaussian process fitted to {len(surface.trials)} complete trials"
        + (f", at the best trial's {fixed}" if fixed else "")
        + (f", over all values of {', '.join(surface.left_out)}" if surface.left_out else "")
        + f". Its best point is {', '.join(format_settings(best))}: {surface.mean[surface.best]:.1f} ± "
        f"{surface.half_width[surface.best]:.1f} %. {near_best} of the area (log scales) may be "
        f"as good, up to {100 * MARGIN:g} points; a single trial has a standard deviation of "
        f"{surface.noise:.1f} points."
    )


def plots(surfaces: Mapping[str, Surface]) -> dict[str, Plots]:
    """Mean and uncertainty, by arm."""
    return {arm: _plots_of_arm(surface) for arm, surface in surfaces.items()} or {"": [NO_SURFACE]}


def _plots_of_arm(surface: Surface) -> Plots:
    return [Plot(lambda axes: _draw_mean(axes, surface)), Plot(lambda axes: _draw_half_width(axes, surface))]


def _draw_mean(axes: Axes, surface: Surface) -> None:
    rates, intervals, accuracy = surface.trials.T
    # over the scale of the trials, so that a surface that is flat beside them looks flat
    shown = np.append(surface.mean, [lowest_shown(pd.Series(accuracy)), accuracy.max()])
    shades = _draw_contours(axes, surface, surface.mean, (shown.min(), shown.max()), "validation accuracy (%)")
    if not surface.near_best.all():
        edge = (surface.rates, surface.intervals, surface.near_best.astype(float), [0.5])
        axes.contour(*edge, colors="white", linewidths=2.6, zorder=2)
        axes.contour(*edge, colors="0.1", linewidths=1.3, linestyles="dashed", zorder=2)
    options: dict[str, Any] = {"edgecolors": "white", "linewidths": 0.9, "zorder": 3, "clip_on": False}
    vmin, *_, vmax = shades.levels
    axes.scatter(rates, intervals, 22, accuracy, vmin=vmin, vmax=vmax, cmap=style.COLOR_MAP, **options)
    row, column = surface.best
    star: dict[str, Any] = {"markersize": 12, "markeredgecolor": "0.1", "markerfacecolor": "white", "zorder": 4}
    axes.plot(surface.rates[column], surface.intervals[row], marker="*", linestyle="none", clip_on=False, **star)


def _draw_half_width(axes: Axes, surface: Surface) -> None:
    _draw_contours(axes, surface, surface.half_width, (0.0, surface.half_width.max()), "± at 95 % (points)")
    rates, intervals, _ = surface.trials.T
    axes.scatter(rates, intervals, 16, "white", edgecolors="0.1", linewidths=0.6, zorder=3, clip_on=False)


def _draw_contours(
    axes: Axes, surface: Surface, values: Array, span: tuple[float, float], label: str
) -> QuadContourSet:
    levels = MaxNLocator(MAX_LEVELS, steps=[1, 2, 5, 10]).tick_values(span[0], max(span[1], span[0] + 0.1))
    shades = axes.contourf(surface.rates, surface.intervals, values, levels, cmap=style.COLOR_MAP)
    axes.get_figure().colorbar(shades, ax=axes, label=label, **COLOR_BAR)  # type: ignore[union-attr]
    label_rate_axis(axes)
    axes.set_yscale("log")
    interval_ticks(axes.yaxis, surface.intervals.min(), surface.intervals.max())
    axes.set_ylabel("meta-interval (model steps per label update)")
    axes.grid(visible=False)
    return shades
