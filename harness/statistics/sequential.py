"""Two rules for when a mean counts as other than zero; both are a bound on |t|, t = √n · mean / sd.

`FixedSize` is Student's t test (1908), for a number of values that was fixed before any was seen:

    c(n, α) = the 1 - α/2 quantile of Student's t with n - 1 degrees of freedom

`AnyTime` may be looked at after every value, for ever, and values may be added for any reason. Over effects mean/sd
that are normal around 0 with variance 1/g, and the standard deviation's right Haar prior, the likelihood ratio of t is

    E_n = √r · [ (1 + t²/(n-1)) / (1 + r·t²/(n-1)) ]^(n/2)      r = g / (g + n)

a test martingale under a mean of zero whatever the standard deviation, so P(E_n ≥ 1/α for any n) ≤ α (Ville's
inequality; Lai, 1976; Wang and Ramdas, Anytime-valid t-tests and confidence sequences, 2023). At E_n = 1/α, |t| is

    c(n, α)² = (n-1)(A - 1) / (1 - r·A)      A = (α·√r)^(-2/n), infinite where r·A ≥ 1

The price of looking at will: about 1.8 times as wide an interval at ten values.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from scipy.special import stdtr, stdtrit


class Rule(Protocol):
    """When |t| of `n` values speaks against a mean of zero."""

    @property
    def name(self) -> str: ...

    def critical(self, n: int, alpha: float) -> float:
        """The bound on |t| that a mean of zero crosses with a chance of at most `alpha`; infinite where none can be."""
        ...

    def p_value(self, t: float, n: int) -> float:
        """The smallest alpha at which `t` crosses its bound, in [0, 1]."""
        ...


@dataclass(frozen=True)
class FixedSize:
    """One look at a number of values fixed beforehand."""

    name: str = "fixed number of seeds"

    def critical(self, n: int, alpha: float) -> float:
        return float(-stdtrit(n - 1, alpha / 2)) if n > 1 else math.inf

    def p_value(self, t: float, n: int) -> float:
        return float(2 * stdtr(n - 1, -abs(t))) if n > 1 else 1.0


@dataclass(frozen=True)
class AnyTime:
    """Any number of looks, at any time.

    Args:
        g: values' worth of doubt that the effect is far from zero: 1/4 expects effects of about two standard
            deviations, as methods that differ over the same seeds show, and can speak from the fourth value on.
    """

    g: float = 0.25
    name: str = "any number of looks"

    def critical(self, n: int, alpha: float) -> float:
        r = self.g / (self.g + n)
        a = (alpha * math.sqrt(r)) ** (-2 / n)
        return math.sqrt((n - 1) * (a - 1) / (1 - r * a)) if n > 1 and r * a < 1 else math.inf

    def p_value(self, t: float, n: int) -> float:
        if n < 2:
            return 1.0
        r = self.g / (self.g + n)
        u = t * t / (n - 1)
        rise = -math.log(r) if math.isinf(u) else math.log1p(u) - math.log1p(r * u)
        return min(1.0, math.exp(-(math.log(r) + n * rise) / 2))
