"""From results by seed to a `Confirmation`.

The package's docstring says which data each number was measured on, and why the comparisons are fair.
"""

from collections.abc import Mapping, Sequence

from harness.confirm.configurations import Configuration
from harness.confirm.doubts import doubt
from harness.confirm.evidence import (
    ALPHA,
    POWER,
    ComparisonSpec,
    best_on_validation,
    resolution,
    summarise_configuration,
    to_interval,
)
from harness.confirm.verdict import judge
from harness.results.confirmation import ArmConfirmation, Comparison, Confirmation, Evaluation, VerdictRule
from harness.results.measurement import ConfigurationResults
from harness.results.seed_result import SeedResult
from harness.space import Arm, Space
from harness.statistics import estimate_mean, holm, p_value

DATA_USED = {
    "search_value": "the validation part of the search's own seed; chose the configurations",
    "val_accuracy": "the validation part of each fresh seed, after the last epoch; chose the verdict's configuration",
    "test_accuracy": "the test part, the same for every seed, opened once after the last epoch; chose nothing",
    "ci95": "over the seeds, for these test images",
    "p_value": "paired over the seeds on the test part; Holm's correction for the configurations looked at",
    "label_accuracy": "the training part of each fresh seed: share of its labels whose largest entry is the true class",
}

SEVERAL_OBJECTIVES = {
    "objectives": "means over the fresh seeds, by the search's names: what it measured on the validation part is of "
    "the test part here; chose nothing",
}


def build_confirmation(
    space: Space,
    results: Sequence[tuple[Configuration, Mapping[int, SeedResult]]],
    spec: ComparisonSpec,
    *,
    name: str,
    n: int,
    chance: float | None = None,
) -> Confirmation:
    """The confirmation of the sweep `name` on `n` seeds, as far as it follows from the results, which are by seed.

    Args:
        chance: share of the most frequent class of the test part; None where it is not known.
    """
    measured = [summarise_configuration(configuration, by_seed, space, spec.rule) for configuration, by_seed in results]
    ours = [configuration for configuration in measured if configuration.role == "arm"]
    baselines = [configuration for configuration in measured if configuration.role == "baseline"]
    outcome, sentence, gain = judge(best_on_validation(space, ours), baselines, spec)
    val_sizes = [configuration.config.val_size for configuration, _ in results]
    doubtful = doubt(list(zip(measured, val_sizes, strict=True)), chance)
    return Confirmation(
        name=name,
        study=space.study,
        n=n,
        sequential=spec.sequential,
        rule=VerdictRule(name=spec.rule.name, alpha=ALPHA, n_comparisons=spec.n_comparisons, power=POWER),
        data_used=DATA_USED | (SEVERAL_OBJECTIVES if space.is_multi_objective else {}),
        arms={arm.name: _confirmed_arm(space, arm, measured) for arm in space.arms},
        comparisons=_compare(ours, baselines, spec),
        outcome=outcome,
        verdict=f"{sentence}; doubtful: {doubtful}" if doubtful else sentence,
        gain=gain,
        notes=_notes(space, measured, spec),
    )


def _confirmed_arm(space: Space, arm: Arm, measured: Sequence[ConfigurationResults]) -> ArmConfirmation:
    own = {configuration.name: configuration for configuration in measured if configuration.arm == arm.name}
    best = best_on_validation(space, list(own.values())) or next(iter(own.values()), None)
    return ArmConfirmation(role=arm.role, best_name=best.name if best else None, configurations=own)


def _compare(
    ours: Sequence[ConfigurationResults], baselines: Sequence[ConfigurationResults], spec: ComparisonSpec
) -> list[Comparison]:
    """Every configuration of every arm minus every baseline, on the seeds that both completed."""
    rows = []
    for baseline in baselines:
        pairs = [(configuration, values) for configuration in ours if (values := configuration.differences(baseline))]
        step = resolution([baseline, *ours])
        corrected = holm([p_value(values, spec.rule, step) for _, values in pairs], spec.n_comparisons)
        for (configuration, values), p in zip(pairs, corrected, strict=True):
            alone = estimate_mean(values, spec.rule, ALPHA, step)
            rows.append(
                Comparison(
                    arm=configuration.arm,
                    trial=configuration.trial,
                    baseline=baseline.arm,
                    baseline_trial=baseline.trial,
                    n=len(values),
                    mean_difference=alone.mean,
                    ci95=to_interval(alone),
                    ci95_corrected=to_interval(estimate_mean(values, spec.rule, spec.alpha, step)),
                    p_value=p,
                )
            )
    return sorted(rows, key=lambda row: (row.arm, row.trial))


def _notes(space: Space, measured: Sequence[ConfigurationResults], spec: ComparisonSpec) -> list[str]:
    notes = []
    if space.is_multi_objective:
        others = ", ".join(objective.metric for objective in space.objectives[1:])
        notes.append(f"the verdict speaks of test accuracy alone; {others} was searched for too, and stands beside it")
    for arm in space.arms:
        if not any(configuration.arm == arm.name for configuration in measured):
            notes.append(f"{arm.name} has no complete trial to confirm: it is not among what was compared")
    for configuration in measured:
        if configuration.failed:
            failed = len(configuration.failed)
            share = f"{configuration.name} diverged on {failed} of {configuration.n + failed} seeds"
            kept = "it is not chosen" if configuration.role == "arm" else "these are left out of its comparisons"
            notes.append(f"{share}: {kept}")
    earlier = spec.n_comparisons - sum(1 for configuration in measured if configuration.role == "arm")
    if earlier > 0:
        notes.append(f"corrected for {spec.n_comparisons} configurations: {earlier} more were tested before")
    return notes


def caveats(missing: Mapping[str, int], lost: Mapping[str, str], evaluations: Sequence[Evaluation]) -> list[str]:
    """Notes on what the results do not show.

    Args:
        missing: trials of the search that are still to be run, by arm.
        lost: runs without a result, and why.
        evaluations: every time the results were judged.
    """
    notes = []
    if any(missing.values()):
        left = ", ".join(f"{count} of {arm}" for arm, count in missing.items() if count)
        notes.append(f"the search is not at its end; trials that are still to be run: {left}")
    if lost:
        name, reason = next(iter(lost.items()))
        runs = f"{len(lost)} run{'s' if len(lost) > 1 else ''}"
        notes.append(f"{runs} ended without a result ({name}: {reason}); the same command tries again")
    # Each number of seeds judged by itself has its own chance to be wrong; all of a sequence share one.
    sequential = [evaluation.sequential for evaluation in evaluations]
    chances = sequential.count(False) + any(sequential)
    if chances > 1:
        earlier = ", ".join(str(evaluation.n) for evaluation in evaluations[:-1])
        notes.append(
            f"judged before at n = {earlier}: with a chance of up to {100 * ALPHA * chances:.0f} %, not "
            f"{100 * ALPHA:.0f} %, one of these verdicts is wrong; a sequence from the start keeps to it"
        )
    return notes
