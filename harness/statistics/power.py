"""Power and sample size of a decision rule at n values, from the noncentral t distribution.

    power(n) = P( |T| > c(n, α) ),   T noncentral t with n - 1 degrees of freedom and noncentrality √n · difference / sd

For a rule that may stop earlier this is the probability to reject at n itself, so the sample size is conservative.
"""

import math

from scipy.special import nctdtr

from harness.statistics.sequential import DecisionRule

MAX_N = 1_000_000
NEARLY_CERTAIN = 30.0  # noncentrality beyond the critical value at which the power is 1 and nctdtr slow


def power(n: int, effect: float, rule: DecisionRule, alpha: float) -> float:
    """Probability that n values with a true mean of `effect` standard deviations reject a mean of zero."""
    critical = rule.critical_value(n, alpha)
    if math.isinf(critical):
        return 0.0
    centre = math.sqrt(n) * abs(effect)
    if centre > NEARLY_CERTAIN + 2 * critical:
        return 1.0
    return float(1 - nctdtr(n - 1, centre, critical) + nctdtr(n - 1, centre, -critical))


def required_n(difference: float, sd: float, rule: DecisionRule, alpha: float, target_power: float = 0.8) -> int | None:
    """The least number of values that shows a true `difference` with power `target_power`; None if over a million.

    `difference` and `sd` are in the unit of the values. ValueError unless the difference is above zero.
    """
    if not difference > 0:
        raise ValueError(f"expected a difference above zero, got {difference}")
    effect = difference / sd if sd > 0 else NEARLY_CERTAIN
    low, high = 1, 2
    while power(high, effect, rule, alpha) < target_power:
        low, high = high, 2 * high
        if high > MAX_N:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, effect, rule, alpha) >= target_power else (middle, high)
    return high
