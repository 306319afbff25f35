"""What the results say: the content of `confirm.json`. Accuracies and their differences are fractions of one.

See the package's docstring for which data each number saw and why the comparisons are fair.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.confirm.evidence import ALPHA, POWER, ComparisonSpec, Confirmed, bounds, grain, preferred
from harness.confirm.verdict import verdict
from harness.space import Space
from harness.statistics import estimate_mean, holm, p_value

SAW = {
    "search_value": "the validation part of the search's own seed; chose the configurations",
    "val_accuracy": "the validation part of each fresh seed, after the last epoch; chose whom the verdict is about",
    "test_accuracy": "the test part, the same for every seed, opened once after the last epoch; chose nothing",
    "ci95": "over the seeds, for these test images",
    "p_value": "paired over the seeds on the test part; Holm's correction for the configurations looked at",
    "label_accuracy": "the training part of each fresh seed: share of its labels whose largest entry is the true class",
}

SAW_OF_SEVERAL = {
    "objectives": "means over the fresh seeds, by the search's names: what it measured on the validation part is of "
    "the test part here; chose nothing",
}


def findings(space: Space, confirmed: Sequence[Confirmed], question: ComparisonSpec) -> dict[str, Any]:
    """The parts of `confirm.json` that follow from the results."""
    ours = [one for one in confirmed if one.configuration.role == "arm"]
    baselines = [one for one in confirmed if one.configuration.role == "baseline"]
    winner = preferred(space, ours)
    return {
        "rule": {"name": question.rule.name, "alpha": ALPHA, "looks": question.looks, "power": POWER},
        "saw": SAW | (SAW_OF_SEVERAL if space.several else {}),
        "arms": {arm.name: _arm(space, arm.role, arm.name, confirmed, question) for arm in space.arms},
        "comparisons": _comparisons(ours, baselines, question),
        **verdict(winner, baselines, question),
        "notes": _notes(space, confirmed, question),
    }


def _arm(
    space: Space, role: str, name: str, confirmed: Sequence[Confirmed], question: ComparisonSpec
) -> dict[str, Any]:
    """The arm's preferred configuration, and below it every one; without any, None throughout."""
    own = [one for one in confirmed if one.configuration.arm == name]
    head = preferred(space, own) or next(iter(own), None)
    return {
        "role": role,
        **(_NOTHING if head is None else _configuration(space, head, question)),
        "configurations": {one.name: _configuration(space, one, question) for one in own},
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
    "label_accuracy_mean": None,
    "label_accuracy_ci95": None,
    "failed": {},
}


def _configuration(space: Space, one: Confirmed, question: ComparisonSpec) -> dict[str, Any]:
    values = one.test_accuracy
    found = estimate_mean(values, question.rule, ALPHA, grain([one])) if values else None
    labels = [value for value in one.measured("label_accuracy") if value is not None]
    right = estimate_mean(labels, question.rule, ALPHA) if labels else None
    several = space.several
    return {
        "trial": one.configuration.trial,
        "params": one.configuration.params,
        "n": len(values),
        "seeds": list(one.complete),
        "test_accuracy_mean": found and found.mean,
        "ci95": found and bounds(found.low, found.high),
        "test_accuracy": values,
        "val_accuracy_mean": one.validation("val_accuracy") if values else None,
        "val_accuracy": one.measured("val_accuracy"),
        "search_value": one.configuration.value,
        "label_accuracy_mean": right and right.mean,
        "label_accuracy_ci95": right and bounds(right.low, right.high),
        "failed": {str(seed): reason for seed, reason in one.failed.items()},
        **({"objectives": {each.metric: one.objective(each.metric) for each in space.objectives}} if several else {}),
    }


def _comparisons(
    ours: Sequence[Confirmed], baselines: Sequence[Confirmed], question: ComparisonSpec
) -> list[dict[str, Any]]:
    """Every configuration of every arm against every baseline, on the seeds that both completed."""
    rows = []
    for baseline in baselines:
        pairs = [(one, one.minus(baseline)) for one in ours]
        pairs = [(one, values) for one, values in pairs if values]
        step = grain([baseline, *ours])
        corrected = holm([p_value(values, question.rule, step) for _, values in pairs], question.looks)
        for (one, values), p in zip(pairs, corrected, strict=True):
            plain = estimate_mean(values, question.rule, ALPHA, step)
            strict = estimate_mean(values, question.rule, question.alpha, step)
            rows.append(
                {
                    "arm": one.configuration.arm,
                    "trial": one.configuration.trial,
                    "baseline": baseline.configuration.arm,
                    "baseline_trial": baseline.configuration.trial,
                    "n": len(values),
                    "mean_difference": plain.mean,
                    "ci95": bounds(plain.low, plain.high),
                    "ci95_corrected": bounds(strict.low, strict.high),
                    "p_value": p,
                }
            )
    return sorted(rows, key=lambda row: (row["arm"], row["trial"]))


def _notes(space: Space, confirmed: Sequence[Confirmed], question: ComparisonSpec) -> list[str]:
    notes = []
    if space.several:
        others = ", ".join(objective.metric for objective in space.objectives[1:])
        notes.append(f"the verdict speaks of test accuracy alone; {others} was searched for too, and stands beside it")
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


def circumstances(
    missing: Mapping[str, int], lost: Mapping[str, str], judged: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Notes on what the results do not show.

    Args:
        missing: trials of the search that are still to be run, by arm.
        lost: runs that came to no result, and why.
        judged: at which `n`, and whether as a `sequential` look, the results were ever judged.
    """
    notes = []
    if any(missing.values()):
        left = ", ".join(f"{count} of {arm}" for arm, count in missing.items() if count)
        notes.append(f"the search is not at its end; trials that are still to be run: {left}")
    if lost:
        name, reason = next(iter(lost.items()))
        runs = f"{len(lost)} run{'s' if len(lost) > 1 else ''}"
        notes.append(f"{runs} came to no result ({name}: {reason}); the same command tries again")
    # Each number of seeds judged by itself has its own chance to be wrong; all looks of a sequence share one.
    chances = sum(not look["sequential"] for look in judged) + any(look["sequential"] for look in judged)
    if chances > 1:
        earlier = ", ".join(str(look["n"]) for look in judged[:-1])
        notes.append(
            f"judged before at n = {earlier}: with a chance of up to {100 * ALPHA * chances:.0f} %, not "
            f"{100 * ALPHA:.0f} %, one of these verdicts is wrong; a sequence from the start keeps to it"
        )
    return notes
