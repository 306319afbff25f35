"""The verdict: a configuration against the best of the baselines, better, worse, or how many seeds that would take."""

import math
from collections.abc import Sequence

from harness.common.formatting import format_points
from harness.confirm.evidence import POWER, ComparisonSpec, resolution, to_share_interval
from harness.results.confirmation import Gain, Outcome
from harness.results.measurement import ConfigurationResults, Interval
from harness.statistics import Estimate, estimate_mean, gain_over_best, required_n

MIN_SEEDS = 2
"""Seeds below which there is no spread to measure."""

DECIDED = ("better", "worse")


def judge(
    winner: ConfigurationResults | None, baselines: Sequence[ConfigurationResults], spec: ComparisonSpec
) -> tuple[Outcome, str, Gain | None]:
    """The outcome, the sentence, and its numbers.

    Args:
        winner: the configuration that the sentence is about; None: no arm has one.
    """
    if winner is None:
        return "not compared", "nothing is confirmed: no configuration of an arm came through on every seed", None
    pairs = [(baseline, values) for baseline in baselines if (values := winner.differences(baseline))]
    if not pairs:
        return "not compared", f"{_accuracy_sentence(winner, spec)}; there is no baseline to compare with", None
    step = resolution([winner, *baselines])
    best, gain = gain_over_best([values for _, values in pairs], spec.rule, spec.alpha, step)
    baseline = pairs[best][0]
    enough = required_n(spec.margin, gain.sd, spec.rule, spec.alpha, POWER) if gain.n >= MIN_SEEDS else None
    outcome, sentence = _comparison(winner, baseline, gain, enough, spec)
    numbers = Gain(
        arm=winner.arm,
        trial=winner.trial,
        baseline=baseline.arm,
        baseline_trial=baseline.trial,
        mean_difference=gain.mean,
        ci95=Interval(gain.low, gain.high),
        n=gain.n,
        required_n=enough if outcome == "undecided" else None,
    )
    return outcome, sentence, numbers


def _comparison(
    winner: ConfigurationResults,
    baseline: ConfigurationResults,
    gain: Estimate,
    enough: int | None,
    spec: ComparisonSpec,
) -> tuple[Outcome, str]:
    ours, best = _subject(winner), f"the best baseline ({baseline.name})"
    size = format_points(gain.mean)
    if gain.low > 0:
        words = f"{ours} {_verb(winner, 'beat')} {best} by {size} {_interval(gain.low, gain.high)}, n = {gain.n}"
        return "better", words
    if gain.high < 0:
        return "worse", f"{best} beats {ours} by {size} {_interval(-gain.high, -gain.low)}, n = {gain.n}"
    interval = f" {_interval(gain.low, gain.high)}" if math.isfinite(gain.low) or math.isfinite(gain.high) else ""
    side = "above" if gain.mean >= 0 else "below"
    words = f"{ours} {_verb(winner, 'be')} {size} {side} {best}{interval}, n = {gain.n}"
    return "undecided", f"no difference shown: {words}; {_remedy(gain, enough, spec)}"


def _accuracy_sentence(winner: ConfigurationResults, spec: ComparisonSpec) -> str:
    estimate = estimate_mean(winner.test_accuracy, spec.rule, spec.alpha, resolution([winner]))
    low, high = to_share_interval(estimate)
    interval = f" {_interval(low or 0.0, high or 0.0, 1, 3)}" if math.isfinite(estimate.high) else ""
    accuracy = f"{estimate.mean:.3f}{interval}, n = {estimate.n}"
    return f"{_subject(winner)} {_verb(winner, 'reach')} a test accuracy of {accuracy}"


def _remedy(gain: Estimate, enough: int | None, spec: ComparisonSpec) -> str:
    margin = f"one of {100 * spec.margin:g} points"
    if gain.n < MIN_SEEDS:
        return "one seed tells nothing of the spread over seeds, run more"
    if enough is None:
        return f"more than a million seeds would be needed to show {margin}"
    if enough > gain.n:
        return f"{enough} seeds would be needed to show {margin}"
    return f"{margin} would have shown with a chance of {100 * POWER:.0f} % or more"


def _subject(winner: ConfigurationResults) -> str:
    return f"{'learned labels' if _learned(winner) else winner.arm} ({winner.name})"


def _verb(winner: ConfigurationResults, verb: str) -> str:
    if verb == "be":
        return "are" if _learned(winner) else "is"
    return verb if _learned(winner) else f"{verb}es" if verb.endswith("ch") else f"{verb}s"


def _learned(winner: ConfigurationResults) -> bool:
    return winner.method == "learned"


def _interval(low: float, high: float, scale: int = 100, digits: int = 1) -> str:
    """`[1.2, 4.1]`, by default in points; an infinite end is written as ∞."""
    ends = [f"{scale * end:.{digits}f}" if math.isfinite(end) else "−∞" if end < 0 else "∞" for end in (low, high)]
    return f"[{', '.join(ends)}]"
