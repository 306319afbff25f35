"""The summary of a sweep from its trial records."""

from collections.abc import Sequence

from harness.results.summary import ArmSummary, BestTrial, FrontTrial, StateCounts, SweepSummary
from harness.space import Space
from harness.tuning.study.trial_record import TrialRecord, best_trial, pareto_front


def summarise_sweep(
    space: Space, records: Sequence[TrialRecord], *, name: str, wall_seconds: float = 0.0
) -> SweepSummary:
    """The summary of the sweep `name`, without its tracking status.

    With several objectives the best trial, of all and of each arm, is the best by the first one.
    """
    top = best_trial(records, space)
    metrics = [objective.metric for objective in space.objectives]
    return SweepSummary(
        name=name,
        study=space.study,
        states=_count_states(records),
        seeds_per_trial=space.search.seeds_per_trial,
        objectives=list(space.objectives),
        front=[
            FrontTrial(
                trial=record.number,
                name=record.name,
                arm=record.arm,
                params=record.params,
                values=dict(zip(metrics, record.values, strict=True)),
            )
            for record in (pareto_front(records, space) if space.is_multi_objective else [])
        ],
        best=BestTrial(
            arm=top.arm,
            trial=top.number,
            params=top.params,
            val_accuracy=top.metrics.get("val_accuracy"),
            val_loss=top.metrics.get("val_loss"),
        )
        if top
        else None,
        arms={arm.name: _summarise_arm(space, arm.name, records) for arm in space.arms},
        failures={record.number: record.reason for record in records if record.state == "failed"},
        trial_seconds=round(sum(record.seconds for record in records), 3),
        wall_seconds=round(wall_seconds, 3),
    )


def _summarise_arm(space: Space, name: str, records: Sequence[TrialRecord]) -> ArmSummary:
    arm = space.arm(name)
    own = [record for record in records if record.arm == name]
    top = best_trial(own, space)
    metrics = top.metrics if top else {}
    return ArmSummary(
        role=arm.role,
        trials=len(own),
        states=_count_states(own),
        trial=top.number if top else None,
        params=top.params if top else None,
        val_images=arm.config(top.params).val_size if top else None,
        val_accuracy=metrics.get("val_accuracy"),
        val_accuracy_std=metrics.get("val_accuracy_std"),
        label_accuracy=metrics.get("label_accuracy"),
        noisy_labels_corrected=metrics.get("noisy_labels_corrected"),
        clean_labels_kept=metrics.get("clean_labels_kept"),
        front=[record.number for record in pareto_front(own, space)] if space.is_multi_objective else [],
    )


def _count_states(records: Sequence[TrialRecord]) -> StateCounts:
    states = [record.state for record in records]
    return StateCounts(complete=states.count("complete"), pruned=states.count("pruned"), failed=states.count("failed"))
