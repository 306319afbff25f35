"""From values over seeds to what may be said of them, with an error rate that is stated and kept.

    rules      |t| > c(n, α): when a mean counts as other than zero, once (`FixedSize`) or at any time (`AnyTime`)
    estimate   a mean, its interval and its p-value, under a rule
    holm       p-values of several looks, corrected for their number
    best_of    the gain of one over the best of several, without choosing which of them is the best
    needed     how many values it takes to show a difference of a given size
    mantel     whether two tables order the pairs of classes alike, where entries are not independent

Values are one number a seed, taken as independent and normal: an accuracy over hundreds of images is near that. Paired
values (two methods on the same seeds) enter as their differences. NumPy and SciPy alone.
"""

from harness.statistics.best_of import Gain, gain_over_best
from harness.statistics.estimate import Estimate, estimate, p_value
from harness.statistics.holm import holm
from harness.statistics.mantel import Agreement, mantel
from harness.statistics.power import needed, power
from harness.statistics.sequential import AnyTime, FixedSize, Rule

__all__ = [
    "Agreement",
    "AnyTime",
    "Estimate",
    "FixedSize",
    "Gain",
    "Rule",
    "estimate",
    "gain_over_best",
    "holm",
    "mantel",
    "needed",
    "p_value",
    "power",
]
