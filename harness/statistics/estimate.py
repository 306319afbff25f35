"""A mean with its interval, mean ± c(n, α) · sd / √n, where a decision rule gives the critical value c.

Accuracies are multiples of 1 / number of images, their resolution. Equal accuracies have a sample deviation of zero,
though the true ones differ by up to one step. Rounding to steps of width w hides a variance of w²/12 (Sheppard 1897),
which is taken as the least variance of the values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.statistics.sequential import DecisionRule


@dataclass(frozen=True)
class Estimate:
    """Mean, standard deviation and interval of `n` values, in their unit; infinite interval for too few values."""

    n: int
    mean: float
    sd: float
    low: float
    high: float


def estimate_mean(values: Sequence[float], rule: DecisionRule, alpha: float, resolution: float = 0.0) -> Estimate:
    """The mean of `values` `[n]` with its interval at confidence 1 - alpha; ValueError if there are none.

    `resolution` is the width of the steps that the values are rounded to, 0 for exact values.
    """
    n, mean, sd = _moments(values, resolution)
    critical = rule.critical_value(n, alpha)
    half = math.inf if math.isinf(critical) else critical * sd / math.sqrt(n)  # not ∞ · 0, which is NaN
    return Estimate(n, mean, sd, mean - half, mean + half)


def p_value(values: Sequence[float], rule: DecisionRule, resolution: float = 0.0) -> float:
    """Two-sided p-value of a true mean of zero, given `values` `[n]`; 1 for a single value."""
    n, mean, sd = _moments(values, resolution)
    if mean == 0:
        return 1.0
    return rule.p_value(math.copysign(math.inf, mean) if sd == 0 else math.sqrt(n) * mean / sd, n)


def _moments(values: Sequence[float], resolution: float) -> tuple[int, float, float]:
    """Number, mean and standard deviation, at least that of the rounding."""
    n = len(values)
    if n == 0:
        raise ValueError("expected at least one value, got none")
    array = np.asarray(values, dtype=np.float64)
    # The mean of equal values may differ from them by a rounding, which is no spread.
    spread = float(array.std(ddof=1)) if n > 1 and np.ptp(array) > 0 else 0.0
    return n, float(array.mean()), max(spread, resolution / math.sqrt(12))
