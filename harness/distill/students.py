"""The search space of the students: one arm per teacher, and one student without a teacher.

Every arm searches the learning rate, and the number of epochs if the teachers' sweep searched it, since early stopping
decides under label noise. All other training settings are those of the first arm's teacher.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.common.errors import InputError
from harness.common.seeds import derive_seed
from harness.common.urls import Url
from harness.confirm.configurations import Configuration
from harness.space import FloatParameter, IntParameter, Space, parse
from harness.training.config.run_config import RunConfig

NO_TEACHER = "no_teacher"

DATA = (
    *("dataset", "data_root", "download", "image_size", "train_size", "meta_size", "val_size"),
    *("noise", "noise_rate", "noise_map", "given_labels", "require_given_labels", "reference_labels"),
)
"""Settings that say which images a run sees, with which labels: one for teachers and students."""

TRAINING = (
    *("augment", "epochs", "batch_size", "optimizer", "lr", "schedule", "momentum", "nesterov", "weight_decay"),
    *("device", "deterministic", "amp", "channels_last", "compile", "graph"),
)
"""Settings that a student takes from the first teacher, where it does not search them."""

WIDTH_DIVISOR = 4
LR_RANGE_FACTOR = 4.0


@dataclass(frozen=True)
class Students:
    """Network of the students, and the budget of their search.

    Args:
        model: the teachers' where left out.
        width: a quarter of the teachers' where left out.
        epochs: the longest teacher's where left out, or searched where the teachers' were.
        trials: of each arm.
        changes: to the students' space, each `key=value` as `harness.space.load` takes them.
    """

    model: str | None = None
    width: int | None = None
    epochs: int | None = None
    trials: int = 12
    changes: Sequence[str] = ()


def students_of(space: Space, teachers: Sequence[Configuration], folder: Path | Url, students: Students) -> Space:
    """The space of the students of `teachers`, whose logits are under `folder`.

    Raises:
        InputError: the teachers learned from different images, or are students themselves.
        SpaceError: a change cannot be made.
    """
    first = teachers[0].config
    _check_same_data(teachers)
    seed = students_seed(space)
    model = students.model or first.model
    fixed: dict[str, Any] = {
        **{name: getattr(first, name) for name in (*DATA, *TRAINING)},
        "model": model,
        "width": students.width or max(1, first.width // WIDTH_DIVISOR),
        "epochs": students.epochs or max(teacher.config.epochs for teacher in teachers),
        "train_on_meta": True,
        "seed": seed,
    }
    searched = _searched_parameters(space, first, students)
    arms, baselines = (
        {f"from_{teacher.arm}": _student_arm(folder, teacher) for teacher in teachers if teacher.role == role}
        for role in ("arm", "baseline")
    )
    document = {
        "study": f"{space.study}-distill",
        "fixed": {name: value for name, value in fixed.items() if name not in searched},
        "parameters": searched,
        "arms": arms,
        "baselines": {**baselines, NO_TEACHER: {"method": "one_hot"}},
        "objective": space.objective.model_dump(mode="json"),
        "search": {
            "trials": students.trials * (len(teachers) + 1),
            "pruner": space.search.pruner.model_dump(mode="json", exclude_none=True),
            "resources": space.search.resources.model_dump(mode="json", exclude_none=True),
            **({"concurrency": space.search.concurrency} if space.search.concurrency else {}),
            "seed": seed,
        },
    }
    students_space = parse(yaml.safe_dump(document, sort_keys=False), "the students' space", students.changes)
    _check_data_unchanged(first.model_copy(update={"seed": seed}), students_space)
    return students_space


def students_seed(space: Space) -> int:
    """The seed that the students are searched on: no seed of the sweep, and none that a confirmation of it draws."""
    return derive_seed(space.search.seed, "distillation") % 2**31


def _student_arm(folder: Path | Url, teacher: Configuration) -> dict[str, Any]:
    return {
        "method": "distillation",
        "fixed": {"teacher": str(folder / teacher.name)},
        "parameters": {
            "distill_temperature": {"type": "float", "low": 1.0, "high": 16.0, "log": True},
            "distill_weight": {"type": "float", "low": 0.1, "high": 1.0},
        },
    }


def _searched_parameters(space: Space, first: RunConfig, students: Students) -> dict[str, Any]:
    ranges = {
        "lr": _range_over_arms(space, "lr")
        or {
            "type": "float",
            "low": first.lr / LR_RANGE_FACTOR,
            "high": min(1e30, first.lr * LR_RANGE_FACTOR),
            "log": True,
        }
    }
    epochs = None if students.epochs else _range_over_arms(space, "epochs")
    return {**ranges, **({"epochs": epochs} if epochs else {})}


def _range_over_arms(space: Space, name: str) -> dict[str, Any] | None:
    """Smallest range that holds every value of the setting in any arm of the sweep; None if no arm searched it."""
    ranges = [
        parameter
        for arm in space.arms
        if isinstance(parameter := arm.parameters.get(name), FloatParameter | IntParameter)
    ]
    if not ranges:
        return None
    fixed = [arm.fixed[name] for arm in space.arms if name in arm.fixed and name not in arm.parameters]
    ends: list[Any] = [*fixed, *(end for span in ranges for end in (span.low, span.high))]
    return {"type": ranges[0].type, "low": min(ends), "high": max(ends), "log": any(span.log for span in ranges)}


def _check_same_data(teachers: Sequence[Configuration]) -> None:
    first = teachers[0]
    for teacher in teachers:
        if teacher.config.method == "distillation":
            raise InputError(
                f"{teacher.name}: expected a teacher, got a student; name the sweep that its teacher is of"
            )
        differing = [name for name in DATA if getattr(teacher.config, name) != getattr(first.config, name)]
        if differing:
            raise InputError(
                f"{teacher.name}: expected the data of {first.name}, to teach the same student, got another "
                f"{', '.join(differing)}; search the arms on the same data"
            )


def _check_data_unchanged(first: RunConfig, space: Space) -> None:
    for arm in space.arms:
        kept = (*DATA, "seed")
        changed = [name for name in kept if name in arm.parameters or arm.fixed[name] != getattr(first, name)]
        if changed:
            raise InputError(f"--set: expected {', '.join(changed)} as the teachers have it, got another; remove that")
