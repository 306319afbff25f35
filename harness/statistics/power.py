"""How many values it takes: the power of a rule's bound at n values, from the noncentral t distribution.

    power(n) = P( |T| > c(n, α) ),   T noncentral t with n - 1 degrees of freedom and noncentrality √n · difference / sd

For a rule that may stop earlier this is the chance to have crossed at n itself, so the number is on the safe side.
"""

import math

from scipy.special import nctdtr

from harness.statistics.sequential import Rule

MOST = 1_000_000
NEARLY_CERTAIN = 30.0  # of noncentrality beyond the bound: the series behind nctdtr is slow and needless there


def power(n: int, effect: float, rule: Rule, alpha: float) -> float:
    """The chance that n values show a true mean of `effect` standard deviations to be other than zero."""
    critical = rule.critical(n, alpha)
    if math.isinf(critical):
        return 0.0
    centre = math.sqrt(n) * abs(effect)
    if centre > NEARLY_CERTAIN + 2 * critical:
        return 1.0
    return float(1 - nctdtr(n - 1, centre, critical) + nctdtr(n - 1, centre, -critical))


def needed(difference: float, sd: float, rule: Rule, alpha: float, target: float = 0.8) -> int | None:
    """The least n at which a true `difference` shows with a chance of `target`, values having deviation `sd`.

    None where that is more than a million.

    Raises:
        ValueError: the difference is not above zero.
    """
    if not difference > 0:
        raise ValueError(f"expected a difference above zero, got {difference}")
    effect = difference / sd if sd > 0 else NEARLY_CERTAIN
    low, high = 1, 2
    while power(high, effect, rule, alpha) < target:
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, effect, rule, alpha) >= target else (middle, high)
    return high
