"""A mean with its interval: mean ± c(n, α) · sd / √n, where a rule gives c.

Accuracies come in steps of one image. Values that agree to the image have a standard deviation of zero, and yet only
agree to within a step: rounding to a step of width w hides a variance of w²/12 (Sheppard, 1897), which is taken as the
least that the values can have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.statistics.sequential import Rule


@dataclass(frozen=True)
class Estimate:
    """A mean of `n` values in their unit; `low` and `high` are infinite where n is too small to tell."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    @property
    def clear_of_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def estimate(values: Sequence[float], rule: Rule, alpha: float, grain: float = 0.0) -> Estimate:
    """The mean of `values` [n] and where the true one lies, at confidence 1 - alpha.

    Args:
        grain: the step that values come in; 0: they are exact.

    Raises:
        ValueError: there are no values.
    """
    n, mean, sd = _moments(values, grain)
    # Not 0 · ∞, which is no number: without a bound nothing is known, however alike the values are.
    critical = rule.critical(n, alpha)
    half = math.inf if math.isinf(critical) else critical * sd / math.sqrt(n)
    return Estimate(n, mean, sd, mean - half, mean + half)


def p_value(values: Sequence[float], rule: Rule, grain: float = 0.0) -> float:
    """Two-sided, of a true mean of zero; 1 for a single value."""
    n, mean, sd = _moments(values, grain)
    if mean == 0:
        return 1.0
    return rule.p_value(math.copysign(math.inf, mean) if sd == 0 else math.sqrt(n) * mean / sd, n)


def _moments(values: Sequence[float], grain: float) -> tuple[int, float, float]:
    n = len(values)
    if n == 0:
        raise ValueError("expected at least one value, got none")
    array = np.asarray(values, dtype=np.float64)
    # Equal values may miss their own mean by a rounding; the spread of that is none.
    spread = float(array.std(ddof=1)) if n > 1 and np.ptp(array) > 0 else 0.0
    return n, float(array.mean()), max(spread, grain / math.sqrt(12))
