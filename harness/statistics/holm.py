"""Holm's correction: the i-th smallest of k p-values times k - i + 1, never below the one before it (Holm, 1979).

Calling those at or under α shown, the chance to call any wrongly is at most α, however the p-values depend.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float], looks: int | None = None) -> list[float]:
    """The corrected p-values, in the order given.

    Args:
        looks: how many were looked at in all; those not given count as the largest (default: as many as given).
    """
    k = max(len(p_values), looks or 0)
    corrected = [0.0] * len(p_values)
    floor = 0.0
    for i, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (k - i) * p_values[place]))
        corrected[place] = floor
    return corrected
