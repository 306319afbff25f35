"""The sentence under a search's table: which arm is ahead, by how much, and how large a difference chance explains.

The latter is the half-width of a 95 % interval for the difference d = p - q of two accuracies on n images and k seeds,

    binomial    1.96 √( (p(1-p) + q(1-q)) / (n k) )         an upper bound: both were measured on the same images
    Student     t √( (s_p² + s_q²) / k ),  2(k-1) degrees of freedom,  s the standard deviation over the seeds

and the wider of the two where k > 1: the seeds' draws of images overlap, so n k may count too many.
"""

import math

from harness.results.summary import ArmSummary, SweepSummary


def search_sentence(summary: SweepSummary) -> str:
    """The best arm against the best baseline; with several objectives, the arms on the Pareto front."""
    if summary.is_multi_objective:
        return _front_sentence(summary)
    best = {role: _best_arm(summary, role) for role in ("arm", "baseline")}
    arm, baseline = best["arm"], best["baseline"]
    if arm is None or baseline is None:
        return f"No {'arm' if arm is None else 'baseline'} has a complete trial yet: nothing to compare."
    (name, ours), (other, theirs) = arm, baseline
    gap = 100 * ((ours.val_accuracy or 0.0) - (theirs.val_accuracy or 0.0))
    words = "level with" if abs(gap) < 0.05 else f"{abs(gap):.1f} points {'above' if gap > 0 else 'below'}"
    return (
        f"{name} is {words} the best baseline, {other}, on {ours.val_images} validation images of "
        f"{_seeds(summary)}; chance alone moves such a difference by up to {_chance(summary, ours, theirs):.1f} points."
    )


def _front_sentence(summary: SweepSummary) -> str:
    if not summary.front or summary.best is None:
        return "No trial is complete yet: there is no front."
    arms = [trial.arm for trial in summary.front]
    counts = {arm: arms.count(arm) for arm in sorted(summary.arms, key=arms.count, reverse=True)}
    present = ", ".join(f"{count} of {arm}" for arm, count in counts.items() if count)
    absent = [arm for arm, count in counts.items() if not count]
    lacking = f", none of {' or '.join(absent)}" if absent else ""
    best = summary.arms[summary.best.arm]
    reach = f"by up to {_chance(summary, best, best):.1f} points"
    timed = any(objective.metric == "busy_seconds" for objective in summary.objectives)
    return (
        f"The front holds {present}{lacking}. Each was measured once, on {best.val_images} validation images of "
        f"{_seeds(summary)}: chance alone moves a difference of accuracies like the best {reach}, and may put a trial "
        "on the front or keep it off."
        f"{' Seconds differ from run to run.' if timed else ''}"
    )


def _best_arm(summary: SweepSummary, role: str) -> tuple[str, ArmSummary] | None:
    complete = [item for item in summary.arms.items() if item[1].role == role and item[1].val_accuracy is not None]
    return max(complete, key=lambda item: item[1].val_accuracy or 0.0, default=None)


def _chance(summary: SweepSummary, arm: ArmSummary, other: ArmSummary) -> float:
    """Half-width of the interval above, in points."""
    p, q, k = arm.val_accuracy or 0.0, other.val_accuracy or 0.0, summary.seeds_per_trial
    half = 1.96 * math.sqrt((p * (1 - p) + q * (1 - q)) / ((arm.val_images or 1) * k))
    if k > 1:
        from scipy.stats import t  # SciPy takes a second to import

        spread = math.hypot(arm.val_accuracy_std or 0.0, other.val_accuracy_std or 0.0)
        half = max(half, float(t.ppf(0.975, 2 * (k - 1))) * spread / math.sqrt(k))
    return 100 * half


def _seeds(summary: SweepSummary) -> str:
    return "one seed" if summary.seeds_per_trial == 1 else f"each of {summary.seeds_per_trial} seeds"
