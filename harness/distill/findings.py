"""What came of a distillation: the content of `distill.json`. Accuracies and their differences are fractions of one.

The students' numbers, comparisons and verdict are those of their confirmation. Beside each student stands its teacher,
and beside each difference between students that between their teachers: a better classifier need not teach better.

    name, students         the sweep of the teachers, and that of the students
    n                      fresh seeds
    teacher, student       what each is: model, width, and the data
    arms.ARM.teacher       trial, params, n, seeds, test_accuracy_mean, ci95, test_accuracy (by seed), failed; None of
                           the arm `untaught`
    arms.ARM.student       the same of the student that it taught
    comparisons            each student of an arm against each other student, as in `confirm.json`
    outcome, verdict, gain better, worse, undecided or not compared; the sentence; its numbers
    against_one_hot        for each other arm: teacher and student less the one-hot ones, {mean_difference, ci95, n},
                           and the sentence
    saw, notes             which data each number saw; what to know beside it
"""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.confirm.configurations import Configuration
from harness.confirm.evidence import ALPHA, Confirmed, bounds, grain
from harness.confirm.plan import RunResult, SeedRun
from harness.distill.students import UNTAUGHT
from harness.space import Space
from harness.statistics import FixedSample, estimate_mean

RULE = FixedSample()

SAW = {
    "teacher": "chosen by the sweep's search, on its own seed; measured on the test part on the fresh seeds",
    "student": "settings chosen on the validation part of a seed of its own; measured on the test part, fresh seeds",
    "ci95": "over the seeds, for these test images",
    "against_one_hot": "paired over the seeds on the test part, each at 95 % by itself, corrected for nothing",
}

CARRIED = ("trial", "params", "n", "seeds", "test_accuracy_mean", "ci95", "test_accuracy", "failed")
SETTINGS = ("model", "width", "train_size", "meta_size", "noise", "noise_rate", "dataset")


def findings(
    name: str,
    students_name: str,
    students: Space,
    teachers: Sequence[Configuration],
    taught: Sequence[tuple[SeedRun, RunResult]],
    confirmed: Mapping[str, Any],
    lost: Mapping[str, str],
) -> dict[str, Any]:
    """All of `distill.json`.

    Args:
        taught: what came of the teachers on the fresh seeds.
        confirmed: the findings of the students' confirmation.
        lost: teachers' runs that came to no result, and why.
    """
    measured = {
        one.arm: Confirmed(one, {run.seed: result for run, result in taught if run.configuration is one})
        for one in teachers
    }
    arms = {arm: _arm(one, confirmed["arms"][f"from_{arm}"]) for arm, one in measured.items()}
    arms[UNTAUGHT] = {
        "role": "baseline",
        "method": "one_hot",
        "teacher": None,
        "student": _student(confirmed, UNTAUGHT),
    }
    one_hot = next((one for one in measured.values() if one.configuration.config.method == "one_hot"), None)
    pairs = [_pair(confirmed, one, one_hot) for one in measured.values() if one_hot is not None and one is not one_hot]
    first = teachers[0].config
    return {
        "name": name,
        "students": students_name,
        "student": {key: students.arms[0].fixed.get(key) for key in SETTINGS},
        "teacher": {"model": first.model, "width": first.width},
        "n": confirmed["n"],
        "arms": arms,
        "comparisons": confirmed["comparisons"],
        **{key: confirmed[key] for key in ("outcome", "verdict", "gain")},
        "against_one_hot": [pair for pair in pairs if pair is not None],
        "saw": SAW,
        "notes": [*confirmed["notes"], *_notes(measured, lost)],
    }


def _arm(teacher: Confirmed, student: Mapping[str, Any]) -> dict[str, Any]:
    values = teacher.test_accuracy
    found = estimate_mean(values, RULE, ALPHA, grain([teacher])) if values else None
    return {
        "role": teacher.configuration.role,
        "method": teacher.configuration.config.method,
        "teacher": {
            "trial": teacher.configuration.trial,
            "params": teacher.configuration.params,
            "n": len(values),
            "seeds": list(teacher.complete),
            "test_accuracy_mean": found and found.mean,
            "ci95": found and bounds(found.low, found.high),
            "test_accuracy": values,
            "failed": {str(seed): reason for seed, reason in teacher.failed.items()},
        },
        "student": {key: student[key] for key in CARRIED},
    }


def _student(confirmed: Mapping[str, Any], arm: str) -> dict[str, Any]:
    return {key: confirmed["arms"][arm][key] for key in CARRIED}


def _pair(confirmed: Mapping[str, Any], teacher: Confirmed, one_hot: Confirmed) -> dict[str, Any] | None:
    """A teacher and its student against the one-hot teacher and its student, on the seeds that each pair shares."""
    theirs, other = teacher.configuration.arm, one_hot.configuration.arm
    step = grain([teacher, one_hot])
    mine, yours = (_by_seed(confirmed["arms"][f"from_{arm}"]) for arm in (theirs, other))
    differences = {
        "teacher": teacher.minus(one_hot),
        "student": [value - yours[seed] for seed, value in mine.items() if seed in yours],
    }
    if not all(differences.values()):
        return None
    found = {what: estimate_mean(values, RULE, ALPHA, step) for what, values in differences.items()}
    pair = {
        what: {"mean_difference": one.mean, "ci95": bounds(one.low, one.high), "n": one.n}
        for what, one in found.items()
    }
    about = {"arm": theirs, "one_hot": other, "method": teacher.configuration.config.method}
    return {**about, **pair, "sentence": _sentence({**about, **pair})}


def _by_seed(student: Mapping[str, Any]) -> dict[int, float]:
    return dict(zip(student["seeds"], student["test_accuracy"], strict=True))


def _notes(measured: Mapping[str, Confirmed], lost: Mapping[str, str]) -> list[str]:
    notes = [
        f"the teacher {one.name} diverged on {len(one.failed)} of {len(one.results)} seeds: it has no student there"
        for one in measured.values()
        if one.failed
    ]
    return notes + [f"{run} came to no result ({reason}); the same command tries again" for run, reason in lost.items()]


def _sentence(pair: Mapping[str, Any]) -> str:
    teacher, student = (_apart(pair[what]) for what in ("teacher", "student"))
    return f"against {pair['one_hot']}: the teacher {pair['arm']} is {teacher}, its student {student}"


def _apart(one: Mapping[str, Any]) -> str:
    mean, (low, high) = one["mean_difference"], one["ci95"]
    side = "above" if mean >= 0 else "below"
    sign = 100 if mean >= 0 else -100
    ends = sorted(sign * end for end in (low, high)) if low is not None and high is not None else None
    return f"{100 * abs(mean):.1f} points {side}" + (f" [{ends[0]:.1f}, {ends[1]:.1f}]" if ends else "")
