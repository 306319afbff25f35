"""What came out of a sweep, from its ledger's entries alone: the content of `summary.json`."""

from collections.abc import Sequence
from typing import Any

from harness.space import Space
from harness.tuning.study.trial_record import TrialRecord, best_trial, pareto_front

SHOWN_METRICS = ("val_accuracy", "label_accuracy", "noisy_labels_corrected", "clean_labels_kept")


def summarise(space: Space, entries: Sequence[TrialRecord]) -> dict[str, Any]:
    """The parts of `summary.json` that follow from the trials: `states`, `best`, `arms`, `trial_seconds` and more.

    Metrics are those of the last epoch of each arm's best complete trial, never the best over epochs; where a trial has
    several seeds, means over them, with the sample standard deviation as `val_accuracy_std`. An arm without a
    complete trial has None for its parameters and metrics; `best` is None where no arm has one.

    With several objectives these go by the first, and there are three parts more: `objectives`; `front`, the trials of
    all arms that no other dominates, best first by the first objective, with their values by metric; and in each of
    `arms` its own `front`, the numbers of the trials that no other of the arm dominates.
    """
    arms: dict[str, Any] = {}
    for arm in space.arms:
        own = [entry for entry in entries if entry.arm == arm.name]
        winner = best_trial(own, space)
        arms[arm.name] = {
            "role": arm.role,
            "trials": len(own),
            "states": _states(own),
            "trial": winner and winner.number,
            "params": winner and winner.params,
            "val_images": winner and arm.config(winner.params).val_size,
            "val_accuracy_std": winner and winner.metrics.get("val_accuracy_std"),
            **{name: winner and winner.metrics.get(name) for name in SHOWN_METRICS},
        }
        if space.several:
            arms[arm.name]["front"] = [entry.number for entry in pareto_front(own, space)]
    top = best_trial(entries, space)
    several = {
        "objectives": [objective.model_dump() for objective in space.objectives],
        "front": [_member(space, entry) for entry in pareto_front(entries, space)],
    }
    return {
        "states": _states(entries),
        "seeds_per_trial": space.search.seeds_per_trial,
        "objective": space.objective.model_dump(),
        **(several if space.several else {}),
        "best": top
        and {
            "arm": top.arm,
            "trial": top.number,
            "params": top.params,
            **{name: top.metrics.get(name) for name in ("val_accuracy", "val_loss")},
        },
        "arms": arms,
        "trial_seconds": round(sum(entry.seconds for entry in entries), 3),
        "failures": {str(entry.number): entry.reason for entry in entries if entry.state == "failed"},
    }


def _member(space: Space, entry: TrialRecord) -> dict[str, Any]:
    metrics = [objective.metric for objective in space.objectives]
    return {
        "trial": entry.number,
        "name": entry.name,
        "arm": entry.arm,
        "params": entry.params,
        "values": dict(zip(metrics, entry.values, strict=True)),
    }


def _states(entries: Sequence[TrialRecord]) -> dict[str, int]:
    return {state: sum(1 for e in entries if e.state == state) for state in ("complete", "pruned", "failed")}
