"""Which parameters decide, by functional ANOVA (Hutter, Hoos and Leyton-Brown 2014) of a random forest.

A parameter's share is its first-order Sobol index over the ranges: V_j / V = Var[ E[ f(X) | X_j ] ] / Var[ f(X) ].
What no parameter explains by itself, 1 - Σ_j share_j, is due to parameters acting together. Shares are means over the
trees, which each saw another resample of the trials; their spread tells how little so few trials say.

Trials that were pruned count too, or the shares would be those among the survivors: the accuracy taken is that at the
last epoch which every trial reached. Ranges are those that the trials span, on a log scale where they span a decade.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures import style
from analysis.frames.sweep_frame import SweepFrame

FEWEST = 10  # trials below which a forest says nothing
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


def importance(study: SweepFrame, arm: str) -> Importance | None:
    """None where there are too few trials, or nothing was searched."""
    # Half a second to import: not for a sweep without such a figure.
    from scipy import stats
    from sklearn.ensemble import RandomForestRegressor

    names = study.varied(arm)
    measured, epoch = _at_a_common_epoch(study, arm)
    if len(measured) < FEWEST or not names or np.ptp(measured["value"]) == 0:
        return None
    places = np.stack([_scaled(measured[f"params.{name}"]) for name in names], axis=1)
    forest = RandomForestRegressor(TREES, oob_score=True, random_state=0).fit(places, measured["value"].to_numpy())
    trees = [tree for tree in forest.estimators_ if tree.tree_.node_count > 1]  # the others are flat
    if not trees:
        return None
    indices = stats.sobol_indices(
        func=lambda points: np.stack([tree.predict(points.T) for tree in trees]),
        n=POINTS,
        dists=[stats.uniform()] * len(names),
        rng=np.random.default_rng(0),
    )
    shares = np.clip(indices.first_order.reshape(len(trees), -1), 0, 1)  # [tree, parameter]
    together = np.clip(1 - shares.sum(axis=1, keepdims=True), 0, 1)
    shares = np.concatenate([shares, together], axis=1)
    found = pd.DataFrame(
        {
            "parameter": [*names, TOGETHER],
            "share": shares.mean(axis=0),
            "low": np.percentile(shares, SPREAD[0], axis=0),
            "high": np.percentile(shares, SPREAD[1], axis=0),
        }
    )
    alone = found.iloc[:-1].sort_values("share", ascending=False, kind="stable")
    ranked = pd.concat([alone, found.iloc[-1:]], ignore_index=True)
    return Importance(arm, ranked, epoch, len(measured), float(forest.oob_score_))


def figure(study: SweepFrame) -> Figure:
    """The shares of every learned arm, or why there are none to show."""
    arms = study.learned or [""]
    drawn = Figure(figsize=(style.WIDTH, 2.4 * len(arms)))
    plots = drawn.subplots(len(arms), 1, squeeze=False)[:, 0]
    for arm, axes in zip(arms, plots, strict=True):
        found = importance(study, arm)
        if found is None:
            style.say(axes, f"too few trials of {arm or 'learned labels'} to say which parameters decide")
        elif found.explained <= 0:
            style.say(axes, f"{arm}: the forest predicts trials it was not fitted to no better than their mean does")
        else:
            _draw(axes, found)
            axes.set_title(f"{arm}: {found.trials} trials at epoch {found.epoch}, R² = {found.explained:.2f}")
    return drawn


def panel(found: Importance) -> Figure:
    """The shares as bars, with their spread over the trees."""
    drawn, axes = style.panel(0.9 + 0.34 * len(found.shares))
    _draw(axes, found)
    return drawn


def _draw(axes: Axes, found: Importance) -> None:
    rows = found.shares.iloc[::-1]
    colours = [style.GREY if name == TOGETHER else style.BLUE for name in rows["parameter"]]
    reach = [100 * (rows["share"] - rows["low"]).clip(lower=0), 100 * (rows["high"] - rows["share"]).clip(lower=0)]
    axes.barh(rows["parameter"], 100 * rows["share"], color=colours, height=0.62)
    axes.errorbar(
        100 * rows["share"], rows["parameter"], xerr=reach, fmt="none", ecolor="0.15", elinewidth=1, capsize=2.5
    )
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the variance of validation accuracy (%)")
    axes.grid(axis="y", visible=False)


def _at_a_common_epoch(study: SweepFrame, arm: str) -> tuple[pd.DataFrame, int]:
    """Complete and pruned trials with their accuracy (`value`) at the last epoch that all of them reached."""
    chosen = study.trials[(study.trials["arm"] == arm) & study.trials["state"].isin(["complete", "pruned"])]
    curves = study.curves[(study.curves["metric"] == "val_accuracy") & study.curves["trial"].isin(chosen["trial"])]
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
