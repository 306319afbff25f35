"""The sentence: a configuration against the best of the baselines, better, worse, or how many seeds that would take."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from harness.confirm.evidence import POWER, ComparisonSpec, Confirmed, bounds, grain
from harness.statistics import Gain, estimate_mean, gain_over_best, required_n

ENOUGH = 2
"""Seeds below which there is no spread to measure."""

Outcome = Literal["better", "worse", "undecided", "not compared"]
DECIDED = ("better", "worse")


def verdict(winner: Confirmed | None, baselines: Sequence[Confirmed], question: ComparisonSpec) -> dict[str, Any]:
    """`verdict`, a sentence; `outcome`, in a word or two; `gain`, the numbers of the sentence.

    Args:
        winner: the configuration that the sentence is about; None: no arm has one.
    """
    if winner is None:
        return _said("not compared", "nothing is confirmed: no configuration of an arm came through on every seed")
    pairs = [(baseline, winner.minus(baseline)) for baseline in baselines]
    pairs = [(baseline, differences) for baseline, differences in pairs if differences]
    if not pairs:
        return _said("not compared", f"{_reach(winner, question)}; there is no baseline to compare with")
    step = grain([winner, *baselines])
    gain = gain_over_best([differences for _, differences in pairs], question.rule, question.alpha, step)
    baseline = pairs[gain.best][0]
    enough = required_n(question.margin, gain.sd, question.rule, question.alpha, POWER) if gain.n >= ENOUGH else None
    outcome, sentence = _comparison(winner, baseline, gain, enough, question)
    return _said(
        outcome,
        sentence,
        {
            "arm": winner.configuration.arm,
            "trial": winner.configuration.trial,
            "baseline": baseline.configuration.arm,
            "baseline_trial": baseline.configuration.trial,
            "mean_difference": gain.mean,
            "ci95": bounds(gain.low, gain.high),
            "n": gain.n,
            "needed_n": enough if outcome == "undecided" else None,
        },
    )


def _comparison(
    winner: Confirmed, baseline: Confirmed, gain: Gain, enough: int | None, question: ComparisonSpec
) -> tuple[Outcome, str]:
    ours, best = _subject(winner), f"the best baseline ({baseline.name})"
    points = f"{100 * abs(gain.mean):.1f} points"
    if gain.low > 0:
        words = f"{ours} {_verb(winner, 'beat')} {best} by {points} {_brackets(gain.low, gain.high)}, n = {gain.n}"
        return "better", words
    if gain.high < 0:
        return "worse", f"{best} beats {ours} by {points} {_brackets(-gain.high, -gain.low)}, n = {gain.n}"
    interval = f" {_brackets(gain.low, gain.high)}" if math.isfinite(gain.low) or math.isfinite(gain.high) else ""
    side = "above" if gain.mean >= 0 else "below"
    words = f"{ours} {_verb(winner, 'be')} {points} {side} {best}{interval}, n = {gain.n}"
    return "undecided", f"no difference shown: {words}; {_remedy(gain, enough, question)}"


def _reach(winner: Confirmed, question: ComparisonSpec) -> str:
    found = estimate_mean(winner.test_accuracy, question.rule, question.alpha, grain([winner]))
    interval = f" {_brackets(found.low, found.high, 1, 3)}" if math.isfinite(found.high) else ""
    return f"{_subject(winner)} {_verb(winner, 'reach')} a test accuracy of {found.mean:.3f}{interval}, n = {found.n}"


def _said(outcome: Outcome, sentence: str, gain: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"outcome": outcome, "verdict": sentence, "gain": gain}


def _remedy(gain: Gain, enough: int | None, question: ComparisonSpec) -> str:
    margin = f"one of {100 * question.margin:g} points"
    if gain.n < ENOUGH:
        return "one seed tells nothing of the spread over seeds, run more"
    if enough is None:
        return f"more than a million seeds would be needed to show {margin}"
    if enough > gain.n:
        return f"{enough} seeds would be needed to show {margin}"
    return f"{margin} would have shown with a chance of {100 * POWER:.0f} % or more"


def _subject(winner: Confirmed) -> str:
    return f"{'learned labels' if _learned(winner) else winner.configuration.arm} ({winner.name})"


def _verb(winner: Confirmed, verb: str) -> str:
    if verb == "be":
        return "are" if _learned(winner) else "is"
    return verb if _learned(winner) else f"{verb}es" if verb.endswith("ch") else f"{verb}s"


def _learned(winner: Confirmed) -> bool:
    return winner.configuration.config.method == "learned"


def _brackets(low: float, high: float, scale: int = 100, digits: int = 1) -> str:
    def written(bound: float) -> str:
        return f"{scale * bound:.{digits}f}" if math.isfinite(bound) else "−∞" if bound < 0 else "∞"

    return f"[{written(low)}, {written(high)}]"
