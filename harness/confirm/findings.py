"""What the results say: the content of `confirm.json`. Accuracies and their differences are fractions of one.

See the package's docstring for which data each number saw and why the comparisons are fair.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.space import Space
from harness.statistics import Gain, Rule, estimate, gain_over_best, holm, needed, p_value
from harness.tuning.confirmation import Configuration, Result

ALPHA = 0.05
POWER = 0.8
ENOUGH = 2  # seeds below which there is no spread to measure

SAW = {
    "search_value": "the validation part of the search's own seed; chose the configurations",
    "val_accuracy": "the validation part of each fresh seed, after the last epoch; chose whom the verdict is about",
    "test_accuracy": "the test part, the same for every seed, opened once after the last epoch; chose nothing",
    "ci95": "over the seeds, for these test images",
    "p_value": "paired over the seeds on the test part; Holm's correction for the configurations looked at",
}

Outcome = Literal["better", "worse", "undecided", "not compared"]


@dataclass(frozen=True)
class Confirmed:
    """A configuration and what came of it, by seed, in the order of the seeds."""

    configuration: Configuration
    results: dict[int, Result]

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def complete(self) -> dict[int, Result]:
        return {seed: result for seed, result in self.results.items() if result.state == "complete"}

    @property
    def failed(self) -> dict[int, str]:
        return {seed: result.reason for seed, result in self.results.items() if result.state == "failed"}

    @property
    def test_accuracy(self) -> list[float]:
        return [result.test["test_accuracy"] for result in self.complete.values()]

    def validation(self, metric: str) -> float:
        values = [result.metrics[metric] for result in self.complete.values()]
        return sum(values) / len(values) if values else math.nan

    def minus(self, other: "Confirmed") -> list[float]:
        """Test accuracy above that of `other`, on each seed that both completed."""
        theirs = other.complete
        return [
            result.test["test_accuracy"] - theirs[seed].test["test_accuracy"]
            for seed, result in self.complete.items()
            if seed in theirs
        ]


@dataclass(frozen=True)
class Question:
    """How the results are read. `looks`: configurations ever measured on the test part; `margin`: worth knowing of."""

    rule: Rule
    looks: int
    margin: float

    @property
    def alpha(self) -> float:
        """The level of each comparison that keeps `ALPHA` over all looks."""
        return ALPHA / self.looks


def findings(space: Space, confirmed: Sequence[Confirmed], question: Question) -> dict[str, Any]:
    """The parts of `confirm.json` that follow from the results."""
    ours = [one for one in confirmed if one.configuration.role == "arm"]
    baselines = [one for one in confirmed if one.configuration.role == "baseline"]
    winner = _preferred(space, ours)
    gain = None if winner is None else _gain(winner, baselines, question)
    return {
        "rule": {"name": question.rule.name, "alpha": ALPHA, "looks": question.looks, "power": POWER},
        "saw": SAW,
        "arms": {arm.name: _arm(space, arm.role, arm.name, confirmed, question) for arm in space.arms},
        "comparisons": _comparisons(ours, baselines, question),
        **_verdict(winner, gain, question),
        "notes": _notes(space, confirmed, question),
    }


# The configurations


def _preferred(space: Space, candidates: Sequence[Confirmed]) -> Confirmed | None:
    """The one with the best mean on the seeds' validation parts, of those that came through on every seed."""
    sign = 1 if space.objective.direction == "maximize" else -1
    sound = [one for one in candidates if one.complete and not one.failed]
    return max(sound, key=lambda one: sign * one.validation(space.objective.metric), default=None)


def _arm(space: Space, role: str, name: str, confirmed: Sequence[Confirmed], question: Question) -> dict[str, Any]:
    """The arm's preferred configuration, and below it every one; without any, None throughout."""
    own = [one for one in confirmed if one.configuration.arm == name]
    head = _preferred(space, own) or next(iter(own), None)
    return {
        "role": role,
        **(_NOTHING if head is None else _configuration(head, question)),
        "configurations": {one.name: _configuration(one, question) for one in own},
    }


_NOTHING: dict[str, Any] = {
    "trial": None,
    "params": None,
    "n": 0,
    "seeds": [],
    "test_accuracy_mean": None,
    "ci95": None,
    "test_accuracy": [],
    "val_accuracy_mean": None,
    "val_accuracy": [],
    "search_value": None,
    "failed": {},
}


def _configuration(one: Confirmed, question: Question) -> dict[str, Any]:
    values = one.test_accuracy
    found = estimate(values, question.rule, ALPHA, _grain([one])) if values else None
    return {
        "trial": one.configuration.trial,
        "params": one.configuration.params,
        "n": len(values),
        "seeds": list(one.complete),
        "test_accuracy_mean": found and found.mean,
        "ci95": found and _interval(found.low, found.high),
        "test_accuracy": values,
        "val_accuracy_mean": one.validation("val_accuracy") if values else None,
        "val_accuracy": [result.metrics["val_accuracy"] for result in one.complete.values()],
        "search_value": one.configuration.value,
        "failed": {str(seed): reason for seed, reason in one.failed.items()},
    }


# The comparisons


def _comparisons(ours: Sequence[Confirmed], baselines: Sequence[Confirmed], question: Question) -> list[dict[str, Any]]:
    """Every configuration of every arm against every baseline, on the seeds that both completed."""
    rows = []
    for baseline in baselines:
        pairs = [(one, one.minus(baseline)) for one in ours]
        pairs = [(one, values) for one, values in pairs if values]
        grain = _grain([baseline, *ours])
        corrected = holm([p_value(values, question.rule, grain) for _, values in pairs], question.looks)
        for (one, values), p in zip(pairs, corrected, strict=True):
            plain = estimate(values, question.rule, ALPHA, grain)
            strict = estimate(values, question.rule, question.alpha, grain)
            rows.append(
                {
                    "arm": one.configuration.arm,
                    "trial": one.configuration.trial,
                    "baseline": baseline.configuration.arm,
                    "baseline_trial": baseline.configuration.trial,
                    "n": len(values),
                    "mean_difference": plain.mean,
                    "ci95": _interval(plain.low, plain.high),
                    "ci95_corrected": _interval(strict.low, strict.high),
                    "p_value": p,
                }
            )
    return sorted(rows, key=lambda row: (row["arm"], row["trial"]))


@dataclass(frozen=True)
class _Over:
    """The gain of a configuration over the best of the baselines, and the one that was nearest to it."""

    gain: Gain
    baseline: Confirmed


def _gain(winner: Confirmed, baselines: Sequence[Confirmed], question: Question) -> _Over | None:
    pairs = [(baseline, winner.minus(baseline)) for baseline in baselines]
    pairs = [(baseline, values) for baseline, values in pairs if values]
    if not pairs:
        return None
    grain = _grain([winner, *baselines])
    gain = gain_over_best([values for _, values in pairs], question.rule, question.alpha, grain)
    return _Over(gain, pairs[gain.over][0])


def _grain(several: Sequence[Confirmed]) -> float:
    """The step that an accuracy comes in: one test image."""
    return max((1 / result.test_images for one in several for result in one.complete.values()), default=0.0)


# The sentence


def _verdict(winner: Confirmed | None, over: _Over | None, question: Question) -> dict[str, Any]:
    """`verdict`, a sentence; `outcome`, in one word; `gain`, the numbers of the sentence."""
    if winner is None:
        return _said("not compared", "nothing is confirmed: no configuration of an arm came through on every seed")
    if over is None:
        found = estimate(winner.test_accuracy, question.rule, question.alpha, _grain([winner]))
        reach = f"{_subject(winner)} {_verb(winner, 'reach')} a test accuracy of {found.mean:.3f}"
        interval = f" {_brackets(found.low, found.high, 1, 3)}" if math.isfinite(found.high) else ""
        return _said("not compared", f"{reach}{interval}, n = {found.n}; there is no baseline to compare with")
    gain, baseline = over.gain, over.baseline
    best = f"the best baseline ({baseline.name})"
    size = f"by {100 * abs(gain.mean):.1f} points"
    numbers = {
        "arm": winner.configuration.arm,
        "trial": winner.configuration.trial,
        "baseline": baseline.configuration.arm,
        "baseline_trial": baseline.configuration.trial,
        "mean_difference": gain.mean,
        "ci95": _interval(gain.low, gain.high),
        "n": gain.n,
        "needed_n": None,
    }
    if gain.low > 0:
        words = f"{_subject(winner)} {_verb(winner, 'beat')} {best} {size} {_brackets(gain.low, gain.high)}"
        return _said("better", f"{words}, n = {gain.n}", numbers)
    if gain.high < 0:
        words = f"{best} beats {_subject(winner)} {size} {_brackets(-gain.high, -gain.low)}"
        return _said("worse", f"{words}, n = {gain.n}", numbers)
    enough = _needed(gain, question)
    interval = f" {_brackets(gain.low, gain.high)}" if math.isfinite(gain.low) or math.isfinite(gain.high) else ""
    side = "above" if gain.mean >= 0 else "below"
    words = f"{_subject(winner)} {_verb(winner, 'be')} {100 * abs(gain.mean):.1f} points {side} {best}{interval}"
    return _said(
        "undecided",
        f"no difference shown: {words}, n = {gain.n}; {_remedy(gain, enough, question)}",
        {**numbers, "needed_n": enough},
    )


def _said(outcome: Outcome, sentence: str, gain: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"outcome": outcome, "verdict": sentence, "gain": gain}


def _needed(gain: Gain, question: Question) -> int | None:
    if gain.n < ENOUGH:
        return None
    return needed(question.margin, gain.sd, question.rule, question.alpha, POWER)


def _remedy(gain: Gain, enough: int | None, question: Question) -> str:
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


def _interval(low: float, high: float) -> list[float | None]:
    """As JSON has it, which knows no infinity."""
    return [low if math.isfinite(low) else None, high if math.isfinite(high) else None]


# What the reader should know beside it


def _notes(space: Space, confirmed: Sequence[Confirmed], question: Question) -> list[str]:
    notes = []
    for arm in space.arms:
        if not any(one.configuration.arm == arm.name for one in confirmed):
            notes.append(f"{arm.name} has no complete trial to confirm: it is not among what was compared")
    for one in confirmed:
        if one.failed:
            share = f"{one.name} diverged on {len(one.failed)} of {len(one.results)} seeds"
            kept = "it is not chosen" if one.configuration.role == "arm" else "these are left out of its comparisons"
            notes.append(f"{share}: {kept}")
    earlier = question.looks - sum(1 for one in confirmed if one.configuration.role == "arm")
    if earlier > 0:
        notes.append(f"corrected for {question.looks} configurations: {earlier} more were tested before")
    return notes


def circumstances(missing: int, lost: Mapping[str, str], looks: Sequence[int]) -> list[str]:
    """Notes on what the results do not show.

    Args:
        missing: trials of the search that are still to be run.
        lost: runs that came to no result, and why.
        looks: numbers of seeds at which the results were judged, where the rule allows for one.
    """
    notes = []
    if missing:
        notes.append(f"the search is not at its end: {missing} of its trials are still to be run")
    if lost:
        name, reason = next(iter(lost.items()))
        notes.append(f"{len(lost)} runs came to no result ({name}: {reason}); the same command tries them again")
    if len(looks) > 1:
        earlier = ", ".join(map(str, looks[:-1]))
        notes.append(
            f"judged before at n = {earlier}: looking again makes a wrong verdict likelier than {100 * ALPHA:.0f} %; "
            "--sequential allows for it"
        )
    return notes
