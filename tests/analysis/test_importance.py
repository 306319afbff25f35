"""Importance of the parameters, on accuracies whose variance is known."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.figures.importance import MIN_TRIALS, TOGETHER, importance
from analysis.frames.sweep_frame import SweepFrame


def additive(sweep: SweepFrame, count: int, weight: float) -> SweepFrame:
    """Accuracy is weight · x + (1 - weight) · y, with x = 1 + log10(label_lr) / 2 and y = meta_interval - 1.

    Both are uniform on [0, 1]. Label rates span decades, which are searched on a log scale; intervals do not.
    """
    draws = np.random.default_rng(3).uniform(size=(count, 2))
    first = sweep.trials.iloc[[0]]
    trials = pd.concat([first] * count, ignore_index=True)
    trials["trial"] = range(count)
    trials["params.label_lr"] = 10 ** (2 * draws[:, 0] - 2)
    trials["params.meta_interval"] = 1 + draws[:, 1]
    values = weight * draws[:, 0] + (1 - weight) * draws[:, 1]
    curves = pd.DataFrame({"trial": range(count), "metric": "val_accuracy", "step": 5, "value": values})
    return replace(sweep, trials=trials, curves=curves)


def shares(frame: pd.DataFrame) -> Iterator[float]:
    yield from frame.set_index("parameter")["share"][["label_lr", "meta_interval", TOGETHER]]


@pytest.mark.parametrize("weight", [0.5, 0.8, 1.0])
def test_importance_is_the_share_of_the_variance_of_an_additive_additive(weight: float, sweep: SweepFrame) -> None:
    result = importance(additive(sweep, 300, weight), "learned")
    assert result is not None
    whole = weight**2 + (1 - weight) ** 2
    rate, interval, together = shares(result.shares)
    # A forest of 300 noiseless points is within a few hundredths of the surface.
    assert rate == pytest.approx(weight**2 / whole, abs=0.08)
    assert interval == pytest.approx((1 - weight) ** 2 / whole, abs=0.08)
    assert together < 0.1
    assert result.explained > 0.9
    assert result.epoch == 5


def test_what_neither_does_alone_is_only_together(sweep: SweepFrame) -> None:
    made = additive(sweep, 400, 0.5)
    rate = np.log10(made.trials["params.label_lr"]) / 2 + 1
    product = rate * (made.trials["params.meta_interval"] - 1)
    result = importance(replace(made, curves=made.curves.assign(value=product.to_numpy())), "learned")
    assert result is not None
    # of x·y on the unit square: V = 1/9 - 1/16 = 7/144, V_x = V_y = 1/48
    assert list(shares(result.shares)) == pytest.approx([3 / 7, 3 / 7, 1 / 7], abs=0.08)


def test_pure_noise_is_known_by_what_the_forest_fails_to_explain(sweep: SweepFrame) -> None:
    made = additive(sweep, 40, 0.5)
    noise = np.random.default_rng(5).normal(size=40)
    result = importance(replace(made, curves=made.curves.assign(value=noise)), "learned")
    assert result is not None
    assert result.explained < 0.1


def test_too_few_trials_have_no_importance(sweep: SweepFrame) -> None:
    assert importance(additive(sweep, MIN_TRIALS - 1, 0.5), "learned") is None
    assert importance(sweep, "one_hot") is None
