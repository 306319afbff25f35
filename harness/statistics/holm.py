"""Holm's correction: the i-th smallest of k p-values times k - i + 1, and never below the one before it (Holm 1979).

If those at or under α are called significant, the probability that any of these calls is wrong is at most α, whatever
the dependence between the p-values.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float], n_comparisons: int | None = None) -> list[float]:
    """The corrected p-values, in the order given.

    Of `n_comparisons` ever made (default: those given), the p-values not given count as the largest.
    """
    k = max(len(p_values), n_comparisons or 0)
    corrected = [0.0] * len(p_values)
    floor = 0.0
    for i, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (k - i) * p_values[position]))
        corrected[position] = floor
    return corrected
