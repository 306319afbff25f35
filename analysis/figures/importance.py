"""Importance of the parameters, by functional ANOVA (Hutter, Hoos and Leyton-Brown 2014) of a random forest.

A parameter's share is its first-order Sobol index over the ranges: V_j / V = Var[ E[ f(X) | X_j ] ] / Var[ f(X) ].
The rest, 1 - Σ_j share_j, is due to interactions of parameters. Shares are means over the trees, each fitted to another
resample of the trials; their spread is the uncertainty from so few trials.

Trials that were pruned count too, or the shares would be those among the survivors: the accuracy taken is that at the
last epoch which every trial reached. Ranges are those that the trials span, on a log scale where they span a decade.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.sweep_frame import SweepFrame
from harness.common.formatting import format_percent

MIN_TRIALS = 10
TREES = 48
POINTS = 1024  # of the Sobol sequence
SPREAD = (10, 90)  # percentiles over the trees
DECADE = 10.0
TOGETHER = "only together"


@dataclass(frozen=True)
class Importance:
    """`shares`: parameter, share, low, high, the largest first, what they do together last. `epoch`: of the accuracies.

    `explained`: R² of the forest on trials that it was not fitted to; near or below 0, the shares mean nothing.
    """

    arm: str
    shares: pd.DataFrame
    epoch: int
    trials: int
    explained: float


def importance(sweep: SweepFrame, arm: str) -> Importance | None:
    """None where there are too few trials, or nothing was searched."""
    # Half a second to import: not for a sweep without such a figure.
    from scipy import stats
    from sklearn.ensemble import RandomForestRegressor

    names = sweep.varied(arm)
    measured, epoch = _at_a_common_epoch(sweep, arm)
    if len(measured) < MIN_TRIALS or not names or np.ptp(measured["value"]) == 0:
        return None
    points = np.stack([_scaled(measured[f"params.{name}"]) for name in names], axis=1)
    forest = RandomForestRegressor(TREES, oob_score=True, random_state=0).fit(points, measured["value"].to_numpy())
    trees = [tree for tree in forest.estimators_ if tree.tree_.node_count > 1]  # the others are flat
    if not trees:
        return None
    indices = stats.sobol_indices(
        func=lambda samples: np.stack([tree.predict(samples.T) for tree in trees]),
        n=POINTS,
        dists=[stats.uniform()] * len(names),
        rng=np.random.default_rng(0),
    )
    shares = np.clip(indices.first_order.reshape(len(trees), -1), 0, 1)  # [tree, parameter]
    together = np.clip(1 - shares.sum(axis=1, keepdims=True), 0, 1)
    shares = np.concatenate([shares, together], axis=1)
    frame = pd.DataFrame(
        {
            "parameter": [*names, TOGETHER],
            "share": shares.mean(axis=0),
            "low": np.percentile(shares, SPREAD[0], axis=0),
            "high": np.percentile(shares, SPREAD[1], axis=0),
        }
    )
    alone = frame.iloc[:-1].sort_values("share", ascending=False, kind="stable")
    ranked = pd.concat([alone, frame.iloc[-1:]], ignore_index=True)
    return Importance(arm, ranked, epoch, len(measured), float(forest.oob_score_))


def description(result: Importance) -> str:
    """The parameter that decides most, and how well the forest predicts."""
    where = f"{result.trials} trials at epoch {result.epoch}, the last that all of them reached"
    if result.explained <= 0:
        return (
            f"{result.arm}: which parameters decide cannot be told. A random forest fitted to {where}, predicts trials "
            "that it was not fitted to no better than their mean does."
        )
    top = result.shares[result.shares["parameter"] != TOGETHER].iloc[0]
    return (
        f"{result.arm}: {top['parameter']} decides {format_percent(top['share'])} of the variance over the searched "
        f"ranges, by functional ANOVA of a random forest fitted to {where}. Whiskers span {SPREAD[1] - SPREAD[0]} % of "
        f"its trees; it explains {format_percent(result.explained)} of the variance of trials it was not fitted to."
    )


def plots(sweep: SweepFrame) -> dict[str, Plots]:
    """By learned arm."""
    return {arm: _plots_of_arm(sweep, arm) for arm in sweep.learned or [""]}


def _plots_of_arm(sweep: SweepFrame, arm: str) -> Plots:
    result = importance(sweep, arm)
    if result is None:
        return [f"too few trials of {arm or 'learned labels'} to say which parameters decide"]
    if result.explained <= 0:
        return [f"{arm}: the forest predicts trials it was not fitted to no better than their mean does"]
    return [plot(result)]


def plot(result: Importance) -> Plot:
    """Shares as bars, with their spread over the trees."""
    return Plot(lambda axes: _draw(axes, result), height=1.1 + 0.34 * len(result.shares))


def _draw(axes: Axes, result: Importance) -> None:
    rows = result.shares.iloc[::-1]
    colors = [style.GREY if name == TOGETHER else style.BLUE for name in rows["parameter"]]
    lengths = [100 * (rows["share"] - rows["low"]).clip(lower=0), 100 * (rows["high"] - rows["share"]).clip(lower=0)]
    axes.barh(rows["parameter"], 100 * rows["share"], color=colors, height=0.62)
    axes.errorbar(
        100 * rows["share"], rows["parameter"], xerr=lengths, fmt="none", ecolor="0.15", elinewidth=1, capsize=2.5
    )
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the variance of validation accuracy (%)")
    axes.set_title(f"{result.arm}: {result.trials} trials at epoch {result.epoch}, R² = {result.explained:.2f}")
    axes.grid(axis="y", visible=False)


def _at_a_common_epoch(sweep: SweepFrame, arm: str) -> tuple[pd.DataFrame, int]:
    """Complete and pruned trials with their accuracy (`value`) at the last epoch that all of them reached."""
    chosen = sweep.trials[(sweep.trials["arm"] == arm) & sweep.trials["state"].isin(["complete", "pruned"])]
    curves = sweep.curves[(sweep.curves["metric"] == "val_accuracy") & sweep.curves["trial"].isin(chosen["trial"])]
    if curves.empty:
        return chosen.iloc[:0].assign(value=[]), 0
    epoch = int(curves.groupby("trial")["step"].max().min())
    return chosen.merge(curves.loc[curves["step"] == epoch, ["trial", "value"]], on="trial"), epoch


def _scaled(column: "pd.Series[object]") -> NDArray[np.float64]:
    """The column on [0, 1]; names by their place in the alphabet."""
    if column.dtype.kind not in "iufb":
        column = pd.Series(pd.factorize(column.astype(str), sort=True)[0], index=column.index)
    values = column.to_numpy(dtype=np.float64)
    if values.min() > 0 and values.max() / values.min() >= DECADE:
        values = np.log(values)
    width = float(np.ptp(values))
    scaled: NDArray[np.float64] = (values - values.min()) / (width or 1.0)
    return scaled
