"""Results with defaults, for tests that are about a few of their fields."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.confirm.configurations import Configuration
from harness.results import Confirmation, Distillation, Semantics, SweepSummary
from harness.results.confirmation import ArmConfirmation, Comparison, Gain, VerdictRule
from harness.results.measurement import ConfigurationResults, Interval
from harness.results.seed_result import SeedResult
from harness.results.semantics import ArmSemantics, ReferenceSummary
from harness.results.summary import ArmSummary, BestTrial, FrontTrial, StateCounts
from harness.space.document import Objective

RULE = VerdictRule(name="fixed number of seeds", alpha=0.05, n_comparisons=1, power=0.8)


def states(complete: int = 1) -> StateCounts:
    return StateCounts(complete=complete, pruned=0, failed=0)


def arm_summary(role: str = "arm", **fields: Any) -> ArmSummary:
    """The summary of an arm with one complete trial."""
    metrics = dict.fromkeys(("val_accuracy_std", "label_accuracy", "noisy_labels_corrected", "clean_labels_kept"))
    defaults = {"trials": 1, "states": states(), "trial": 0, "params": {}, "val_images": 250, "val_accuracy": 0.9}
    return ArmSummary.model_validate({"role": role, **defaults, **metrics, **fields})


def summary(arms: dict[str, ArmSummary], front: Sequence[FrontTrial] = (), **fields: Any) -> SweepSummary:
    best = BestTrial(arm=next(iter(arms)), trial=0, params={}, val_accuracy=0.9, val_loss=0.3)
    defaults = {
        "name": "toy", "study": "toy", "states": states(), "seeds_per_trial": 1, "objectives": [Objective()],
        "front": list(front), "best": best, "arms": arms, "failures": {}, "trial_seconds": 1.0, "wall_seconds": 1.0,
    }  # fmt: skip
    return SweepSummary(**{**defaults, **fields})


def configuration(trial: int, test_accuracy: Sequence[float], **fields: Any) -> ConfigurationResults:
    """Results of one configuration on the seeds 0, 1, …"""
    n, mean = len(test_accuracy), float(np.mean(test_accuracy))
    defaults = {
        "arm": "learned", "role": "arm", "method": "learned", "test_images": 1000,
        "trial": trial, "params": {}, "n": n, "seeds": list(range(n)), "test_accuracy_mean": mean,
        "ci95": (mean - 0.02, mean + 0.02), "test_accuracy": list(test_accuracy), "val_accuracy_mean": mean,
        "search_value": 0.95, "failed": {},
    }  # fmt: skip
    return ConfigurationResults.model_validate({**defaults, **fields})


def seed_result(configuration: Configuration, seed: int = 0, **fields: Any) -> SeedResult:
    """The result of a run on one seed; by default complete, on 360 test images."""
    defaults = {
        "role": configuration.role, "config": configuration.config.model_copy(update={"seed": seed}),
        "state": "complete", "epochs": 1, "metrics": {}, "test": {}, "test_images": 360, "seconds": 1.0,
    }  # fmt: skip
    return SeedResult(**{**defaults, **fields})


def arm_confirmation(arm: str, results: ConfigurationResults) -> ArmConfirmation:
    """Of an arm with one configuration; learned labels are no baseline."""
    name = f"{arm}-{results.trial}"
    role = "arm" if arm.startswith(("learned", "from_")) else "baseline"
    results = results.model_copy(update={"arm": arm, "role": role})
    return ArmConfirmation.model_validate({"role": role, "best_name": name, "configurations": {name: results}})


def confirmation(arms: dict[str, ConfigurationResults], **fields: Any) -> Confirmation:
    """Of one configuration per arm."""
    defaults = {
        "name": "label_lr", "study": "label_lr", "n": max(results.n for results in arms.values()), "sequential": False,
        "rule": RULE, "data_used": {}, "arms": {arm: arm_confirmation(arm, results) for arm, results in arms.items()},
        "comparisons": [], "outcome": "better", "verdict": "so", "gain": None, "notes": [],
    }  # fmt: skip
    return Confirmation(**{**defaults, **fields})


def comparison(ours: tuple[str, int], baseline: tuple[str, int], difference: float, n: int) -> Comparison:
    """An interval of ± 0.1 points, ± 0.2 corrected."""
    return Comparison(
        arm=ours[0], trial=ours[1], baseline=baseline[0], baseline_trial=baseline[1], n=n, mean_difference=difference,
        ci95=Interval(difference - 0.001, difference + 0.001),
        ci95_corrected=Interval(difference - 0.002, difference + 0.002), p_value=0.001,
    )  # fmt: skip


def gain(row: Comparison) -> Gain:
    return Gain.model_validate({**row.model_dump(exclude={"ci95_corrected", "p_value"}), "required_n": None})


def semantics(reference: dict[str, Any], arms: dict[str, Any] | None = None, **fields: Any) -> Semantics:
    defaults = {
        "name": "label_lr", "class_names": [str(c) for c in range(10)], "reference": ReferenceSummary(**reference),
        "arms": arms or {}, "significant": True, "sentence": "so", "meaning": {},
    }  # fmt: skip
    return Semantics(**{**defaults, **fields})


def arm_semantics(trial: int, mass: float, rho: float | None, **fields: Any) -> ArmSemantics:
    """Of labels that agree with the reference by `rho`; None: they order nothing."""
    known = {"rho": rho, "ci95": (None, None), "p_value": None, "classes": 10, "pairs": 45, **fields}
    most_alike = [] if rho is None else [(0, 6, 0.1), (2, 4, 0.05)]
    return ArmSemantics.model_validate(
        {
            "role": "arm", "method": "learned", "trial": trial, "runs": 1, "off_class_mass": mass, "symmetric": known,
            "directed": None, "rho_by_run": [], "most_alike": most_alike, "table": [[1.0]],
        }
    )  # fmt: skip


def distillation(
    arms: dict[str, tuple[ConfigurationResults | None, ConfigurationResults]], **fields: Any
) -> Distillation:
    """Of a teacher, or none, and its student per arm."""
    made = {
        arm: {"role": "arm", "method": "learned", "teacher": teacher, "student": student}
        for arm, (teacher, student) in arms.items()
    }
    student = {"model": "mlp", "width": 32, **dict.fromkeys(("train_size", "meta_size", "noise", "noise_rate"))}
    defaults = {
        "name": "label_lr", "students": "label_lr-distill", "student": {**student, "dataset": "digits"},
        "teacher": {"model": "mlp", "width": 128}, "n": 3, "arms": made, "comparisons": [], "outcome": "better",
        "verdict": "so", "gain": None, "against_one_hot": [], "data_used": {}, "notes": [],
    }  # fmt: skip
    return Distillation.model_validate({**defaults, **fields})
