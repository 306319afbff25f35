"""The gain of one method over the best of m others, θ = min_b (μ - μ_b), without choosing which is the best.

To choose the best by the very values that are compared would favour whichever was lucky. Instead (Berger, 1982, for the
lower bound, an intersection-union test; Bonferroni for the upper one):

    low  = min_b  lower bound of μ - μ_b,  each missed with chance α/2
    high = min_b  upper bound of μ - μ_b,  each missed with chance α/(2m)

The lower bound is too high only if that against the truly best is; the upper one is too low only if one of the m is.
Together the interval misses θ with a chance of at most α. The mean given is the least of the m mean differences, which
tends to be below θ: the error, if any, is against the method that is to be shown better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.statistics.estimate import estimate
from harness.statistics.sequential import Rule


@dataclass(frozen=True)
class Gain:
    """A gain in the values' unit. `over`: place of the one with the least mean difference; `n`, `sd` are its."""

    over: int
    n: int
    mean: float
    sd: float
    low: float
    high: float


def gain_over_best(differences: Sequence[Sequence[float]], rule: Rule, alpha: float, grain: float = 0.0) -> Gain:
    """The gain and where it lies, at confidence 1 - alpha.

    Args:
        differences: for each of the m others, ours minus theirs on each seed that both have.
        grain: as `estimate` takes it.

    Raises:
        ValueError: there is no other, or one shares no seed.
    """
    if not differences:
        raise ValueError("expected at least one to compare with, got none")
    lower = [estimate(each, rule, alpha, grain) for each in differences]
    upper = [estimate(each, rule, alpha / len(differences), grain) for each in differences]
    over = min(range(len(lower)), key=lambda b: lower[b].mean)
    hardest = lower[over]
    return Gain(
        over, hardest.n, hardest.mean, hardest.sd, min(each.low for each in lower), min(each.high for each in upper)
    )
