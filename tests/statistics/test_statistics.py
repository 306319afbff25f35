"""The intervals, p-values and stopping rules against thousands of draws whose truth is known.

Draws are seeded, so a test passes or fails for good. A share of 4,000 draws near 5 % has a standard error of 0.35 %:
the bounds below leave three of these.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from harness.statistics import (
    AnytimeValid,
    DecisionRule,
    Estimate,
    FixedSample,
    estimate_mean,
    gain_over_best,
    holm,
    p_value,
    power,
    required_n,
)

DRAWS = 4000
SLACK = 0.011
RULES = [FixedSample(), AnytimeValid()]


def draws(seed: int, n: int, mean: float = 0.0, sd: float = 1.0) -> np.ndarray:
    """[DRAWS, n] normal values."""
    return np.random.default_rng(seed).normal(mean, sd, (DRAWS, n))


def excludes_zero(estimate: Estimate) -> bool:
    return estimate.low > 0 or estimate.high < 0


def share(condition: Callable[[np.ndarray], bool], samples: np.ndarray) -> float:
    return sum(condition(sample) for sample in samples) / len(samples)


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    ours, theirs = np.random.default_rng(1).normal([[0.94], [0.9]], 0.02, (2, 7))
    reference = stats.ttest_rel(ours, theirs)
    estimate = estimate_mean(ours - theirs, FixedSample(), 0.05)
    low, high = reference.confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=1e-9)
    assert p_value(ours - theirs, FixedSample()) == pytest.approx(reference.pvalue, rel=1e-9)


def first_crossing(samples: np.ndarray, rule: DecisionRule, alpha: float) -> np.ndarray:
    """For each sample, the number of values after which a look at every value first shows a mean other than 0; inf."""
    crossed = np.full(len(samples), math.inf)
    for n in range(samples.shape[1], 1, -1):
        part = samples[:, :n]
        t = math.sqrt(n) * part.mean(axis=1) / part.std(axis=1, ddof=1)
        crossed[np.abs(t) > rule.critical_value(n, alpha)] = n
    return crossed


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
@pytest.mark.parametrize("sd", [1.0, 1e-3])
def test_looking_after_every_value_keeps_the_error_rate_at_any_time(alpha: float, sd: float) -> None:
    wrong = np.isfinite(first_crossing(draws(11, 200, sd=sd), AnytimeValid(), alpha)).mean()
    assert 0.2 * alpha < wrong <= alpha, "kept, and not by never speaking"


def test_looking_after_every_value_breaks_the_error_rate_of_one_look() -> None:
    wrong = np.isfinite(first_crossing(draws(12, 200), FixedSample(), 0.05)).mean()
    assert wrong > 0.3, "the reason for the other rule"


def test_a_large_effect_ends_a_sequence_after_a_few_values() -> None:
    crossed = first_crossing(draws(13, 60, mean=1.5), AnytimeValid(), 0.05)
    assert np.median(crossed) <= 10
    assert np.isfinite(crossed).all()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("n", [4, 9, 40])
def test_p_value_and_interval_say_the_same(rule: DecisionRule, n: int) -> None:
    for mean in (0.1, 0.5, 1.0, 3.0):
        values = draws(3, n, mean=mean)[0]
        p = p_value(values, rule)
        assert excludes_zero(estimate_mean(values, rule, p * 1.001)) or p == 1
        assert not excludes_zero(estimate_mean(values, rule, min(p * 0.999, 0.999)))


def test_the_anytime_bound_is_that_of_its_likelihood_ratio() -> None:
    """The ratio by adding up the noncentral t's density over effects: an independent road to the same number."""
    rule, n, t = AnytimeValid(g=0.25), 8, 3.1
    effects = np.linspace(-16, 16, 4001)
    weights = stats.norm.pdf(effects, scale=1 / math.sqrt(rule.g))
    mixed = np.trapezoid(stats.nct.pdf(t, n - 1, math.sqrt(n) * effects) * weights, effects)
    assert rule.p_value(t, n) == pytest.approx(stats.t.pdf(t, n - 1) / mixed, rel=1e-4)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_one_value_says_nothing(rule: DecisionRule) -> None:
    estimate = estimate_mean([0.93], rule, 0.05)
    assert (estimate.n, estimate.mean, estimate.low, estimate.high) == (1, 0.93, -math.inf, math.inf)
    assert p_value([0.93], rule) == 1.0


def test_no_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        estimate_mean([], FixedSample(), 0.05)


def test_exact_values_that_agree_have_no_spread() -> None:
    assert estimate_mean([0.1] * 6, FixedSample(), 0.05).high == pytest.approx(0.1)
    assert p_value([0.1] * 6, FixedSample()) == 0.0
    assert p_value([0.0] * 6, FixedSample()) == 1.0
    assert 0 < p_value([0.1] * 6, AnytimeValid()) < 0.05


def test_values_that_agree_to_the_image_are_no_proof() -> None:
    one_image = 1 / 360
    assert not excludes_zero(estimate_mean([one_image, one_image], FixedSample(), 0.05, resolution=one_image))

    def shows(values: np.ndarray) -> bool:
        return excludes_zero(estimate_mean(np.round(values), FixedSample(), 0.05, resolution=1.0))

    for sd in (0.05, 0.3, 0.6, 2.0):
        assert share(shows, draws(21, 3, sd=sd)) < 0.05 + SLACK, f"steps of 1 beside a deviation of {sd}"


def test_holm_multiplies_by_what_is_left() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, 0.04, 0.03], n_comparisons=5) == pytest.approx([0.05, 0.12, 0.12])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("others", [1, 2, 5])
@pytest.mark.parametrize("gaps", ["equal", "one best"])
def test_the_gain_over_the_best_is_covered(others: int, gaps: str) -> None:
    """Others with equal means are the hard case for the best of their means, one clear best for the intervals."""
    means = np.zeros(others) if gaps == "equal" else -np.arange(others, dtype=float)
    truth = 0.4 - means.max()
    rng = np.random.default_rng(others)
    low = high = over = 0
    for _ in range(DRAWS // 2):
        seeds = rng.normal(size=8)
        ours = 0.4 + seeds + rng.normal(size=8)
        theirs = means[:, None] + seeds + rng.normal(size=(others, 8))
        _, gain = gain_over_best(list(ours - theirs), FixedSample(), 0.05)
        low += gain.low > truth
        high += gain.high < truth
        over += gain.mean > truth
    assert low / (DRAWS // 2) < 0.025 + SLACK
    assert high / (DRAWS // 2) < 0.025 + SLACK
    assert over / (DRAWS // 2) < 0.5 + 3 * SLACK, "an error of the mean is against ours"


def test_the_gain_is_over_the_one_with_the_least_difference() -> None:
    best, gain = gain_over_best([[0.3, 0.31, 0.29], [0.1, 0.12, 0.11], [0.5, 0.5, 0.6]], FixedSample(), 0.05)
    assert best == 1
    assert gain.mean == pytest.approx(0.11)
    assert gain.low < 0.11 < gain.high


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize(("n", "effect"), [(6, 1.2), (12, 0.9), (40, 0.5)])
def test_power_is_the_share_of_samples_that_show_it(rule: DecisionRule, n: int, effect: float) -> None:
    shown = share(lambda values: excludes_zero(estimate_mean(values, rule, 0.05)), draws(n, n, mean=effect))
    assert power(n, effect, rule, 0.05) == pytest.approx(shown, abs=2.5 * SLACK)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("effect", [0.3, 0.8, 2.0])
def test_needed_is_the_least_number_with_that_power(rule: DecisionRule, effect: float) -> None:
    n = required_n(effect * 0.02, 0.02, rule, 0.05)
    assert n is not None
    assert power(n, effect, rule, 0.05) >= 0.8 > power(n - 1, effect, rule, 0.05)


def test_needed_of_half_a_point_beside_a_point_of_spread() -> None:
    """34 pairs for an effect of one half, two-sided at 5 % and 80 % power, as G*Power gives it."""
    assert required_n(0.005, 0.01, FixedSample(), 0.05) == 34


def test_needed_says_when_it_is_out_of_reach() -> None:
    assert required_n(1e-6, 0.05, FixedSample(), 0.05) is None
    assert required_n(0.005, 0.0, FixedSample(), 0.05) == 2
    with pytest.raises(ValueError, match="above zero"):
        required_n(0.0, 0.01, FixedSample(), 0.05)
