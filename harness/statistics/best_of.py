"""The gain of one method over the best of m others, θ = min_b (μ - μ_b), without choosing which one is the best.

Choosing the best by the values that are then compared favours the lucky one. Instead (Berger 1982 for the lower bound,
an intersection-union test; Bonferroni for the upper one):

    low  = min_b  lower bound of μ - μ_b,  each wrong with probability α/2
    high = min_b  upper bound of μ - μ_b,  each wrong with probability α/(2m)

`low` exceeds θ only if the bound against the truly best one is wrong, `high` is below θ only if one of the m is. The
mean is the least of the m mean differences, which is biased against the method to be shown better.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.statistics.estimate import Estimate, estimate_mean
from harness.statistics.sequential import DecisionRule


def gain_over_best(
    differences: Sequence[Sequence[float]], rule: DecisionRule, alpha: float, resolution: float = 0.0
) -> tuple[int, Estimate]:
    """The position of the method with the least mean difference, and the gain at confidence 1 - alpha.

    `n`, `mean` and `sd` of the gain are those of the least difference. ValueError if there is no other method, or one
    shares no seed.

    Args:
        differences: for each of the m others, ours minus theirs on each seed that both have.
        resolution: as in `estimate_mean`.
    """
    if not differences:
        raise ValueError("expected at least one method to compare with, got none")
    lower = [estimate_mean(values, rule, alpha, resolution) for values in differences]
    upper = [estimate_mean(values, rule, alpha / len(differences), resolution) for values in differences]
    best = min(range(len(lower)), key=lambda b: lower[b].mean)
    low, high = min(estimate.low for estimate in lower), min(estimate.high for estimate in upper)
    return best, replace(lower[best], low=low, high=high)
