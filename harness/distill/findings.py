"""From the results of teachers and students to a `Distillation`.

The students' numbers, comparisons and verdict are those of their confirmation. Beside each student stands its teacher,
and beside each difference between students that between their teachers: a better classifier need not teach better.
"""

from collections.abc import Mapping, Sequence

from harness.common.formatting import format_interval, format_points
from harness.confirm.configurations import Configuration
from harness.confirm.evidence import ALPHA, resolution, summarise_configuration, to_interval
from harness.distill.students import NO_TEACHER
from harness.results import Confirmation, Distillation
from harness.results.distillation import ArmDistillation, ModelSetting, StudentSetting, TeacherEffect
from harness.results.measurement import ConfigurationResults, PairedDifference
from harness.results.seed_result import SeedResult
from harness.space import Space
from harness.statistics import FixedSample, estimate_mean

RULE = FixedSample()

DATA_USED = {
    "teacher": "chosen by the sweep's search, on its own seed; measured on the test part on the fresh seeds",
    "student": "settings chosen on the validation part of a seed of its own; measured on the test part, fresh seeds",
    "ci95": "over the seeds, for these test images",
    "against_one_hot": "paired over the seeds on the test part, each at 95 % by itself, corrected for nothing",
}


def build_distillation(
    name: str,
    space: Space,
    students: Space,
    teachers: Sequence[tuple[Configuration, Mapping[int, SeedResult]]],
    confirmed: Confirmation,
    lost: Mapping[str, str],
) -> Distillation:
    """The distillation of the sweep `name`.

    Args:
        space, students: the spaces of the teachers' sweep and of the students'.
        teachers: each with its results on the fresh seeds, by seed.
        confirmed: the students' confirmation.
        lost: teachers' runs without a result, and why.
    """
    measured = [summarise_configuration(configuration, by_seed, space, RULE) for configuration, by_seed in teachers]
    arms = {
        teacher.arm: ArmDistillation(
            role=teacher.role, method=teacher.method, teacher=teacher, student=_student(confirmed, teacher)
        )
        for teacher in measured
    }
    arms[NO_TEACHER] = ArmDistillation(
        role="baseline", method="one_hot", teacher=None, student=confirmed.arms[NO_TEACHER].best
    )
    one_hot = next((teacher for teacher in measured if teacher.method == "one_hot"), None)
    effects = [
        _effect(confirmed, teacher, one_hot) for teacher in measured if one_hot is not None and teacher is not one_hot
    ]
    fixed = students.arms[0].fixed
    return Distillation(
        name=name,
        students=confirmed.name,
        student=StudentSetting.model_validate({key: fixed.get(key) for key in StudentSetting.model_fields}),
        teacher=ModelSetting(model=teachers[0][0].config.model, width=teachers[0][0].config.width),
        n=confirmed.n,
        arms=arms,
        comparisons=confirmed.comparisons,
        outcome=confirmed.outcome,
        verdict=confirmed.verdict,
        gain=confirmed.gain,
        against_one_hot=[effect for effect in effects if effect is not None],
        data_used=DATA_USED,
        notes=[*confirmed.notes, *_notes(measured, lost)],
    )


def _student(confirmed: Confirmation, teacher: ConfigurationResults) -> ConfigurationResults | None:
    return confirmed.arms[f"from_{teacher.arm}"].best


def _effect(
    confirmed: Confirmation, teacher: ConfigurationResults, one_hot: ConfigurationResults
) -> TeacherEffect | None:
    """A teacher and its student minus the one-hot teacher and its student, on the seeds that each pair shares."""
    student, other = (_student(confirmed, owner) for owner in (teacher, one_hot))
    of_teachers = teacher.differences(one_hot)
    of_students = student.differences(other) if student is not None and other is not None else []
    if not of_teachers or not of_students:
        return None
    step = resolution([teacher, one_hot])
    teachers, students = (_difference(values, step) for values in (of_teachers, of_students))
    arm, baseline = teacher.arm, one_hot.arm
    return TeacherEffect(
        arm=arm,
        one_hot=baseline,
        method=teacher.method,
        teacher=teachers,
        student=students,
        sentence=f"against {baseline}: the teacher {arm} is {_words(teachers)}, its student {_words(students)}",
    )


def _difference(values: Sequence[float], step: float) -> PairedDifference:
    estimate = estimate_mean(values, RULE, ALPHA, step)
    return PairedDifference(mean_difference=estimate.mean, ci95=to_interval(estimate), n=estimate.n)


def _notes(measured: Sequence[ConfigurationResults], lost: Mapping[str, str]) -> list[str]:
    notes = [
        f"the teacher {teacher.name} diverged on {failed} of {teacher.n + failed} seeds: no student there"
        for teacher in measured
        if (failed := len(teacher.failed))
    ]
    for run, reason in lost.items():
        notes.append(f"{run} ended without a result ({reason}); the same command tries again")
    return notes


def _words(difference: PairedDifference) -> str:
    """`2.7 points below [1.2, 4.1]`"""
    above = difference.mean_difference >= 0
    ends = sorted(100 * end if above else -100 * end for end in difference.ci95.ends or ())
    interval = f" {format_interval(ends, digits=1)}" if ends else ""
    return f"{format_points(difference.mean_difference)} {'above' if above else 'below'}{interval}"
