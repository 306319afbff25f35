"""Statistics of values over seeds: intervals, tests and sample sizes with a stated error rate.

    sequential   decision rules |t| > c(n, α): `FixedSample` for one test, `AnytimeValid` for a test after every value
    estimate     a mean with its interval and its p-value, under a rule
    holm         p-values corrected for the number of comparisons
    best_of      the gain of one method over the best of several, without choosing which one is the best
    power        power, and the number of values that shows a difference of a given size
    mantel       whether two tables order the pairs of classes alike, where entries are dependent

Values are one number per seed, taken as independent and normal; an accuracy over hundreds of images is nearly so.
Paired values (two methods on the same seeds) enter as their differences. The package needs NumPy and SciPy alone.
"""

from harness.statistics.best_of import gain_over_best
from harness.statistics.estimate import Estimate, estimate_mean, p_value
from harness.statistics.holm import holm
from harness.statistics.mantel import MantelResult, mantel_test
from harness.statistics.power import power, required_n
from harness.statistics.sequential import AnytimeValid, DecisionRule, FixedSample

__all__ = [
    "AnytimeValid",
    "DecisionRule",
    "Estimate",
    "FixedSample",
    "MantelResult",
    "estimate_mean",
    "gain_over_best",
    "holm",
    "mantel_test",
    "p_value",
    "power",
    "required_n",
]
