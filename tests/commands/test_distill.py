"""`python -m harness.distill` as a user meets it, and the students' space and findings by themselves."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness.common.errors import InputError
from harness.confirm.configurations import Configuration
from harness.distill.__main__ import main
from harness.distill.findings import build_distillation
from harness.distill.students import DATA, NO_TEACHER, Students, students_of
from harness.results import Confirmation, Distillation
from harness.results.seed_result import SeedResult
from harness.space import Space, SpaceError, load
from tests.commands.test_confirm import Sweep, pretended
from tests.conftest import Result as Ended
from tests.conftest import run
from tests.support.results import configuration, confirmation, seed_result

TRIALS, SEEDS = 1, 2


def teachers_of(space: Space, **changes: object) -> list[Configuration]:
    """A configuration of each arm, as if it had won."""
    chosen = []
    for number, arm in enumerate(space.arms):
        params = arm.sample(lambda name, parameter: parameter.low)  # type: ignore[union-attr]
        config = arm.config(params).model_copy(update=changes if number else {})
        chosen.append(Configuration(arm.name, arm.role, number, params, config, 0.9))
    return chosen


def space_of(*overrides: str) -> Space:
    return load("label_lr.yaml", overrides)


def test_students_differ_in_their_teachers_alone(tmp_path: Path) -> None:
    space = space_of()
    students = students_of(space, teachers_of(space), tmp_path, Students(trials=5))
    assert [(arm.name, arm.role) for arm in students.arms] == [
        ("from_learned", "arm"),
        ("from_one_hot", "baseline"),
        ("from_label_smoothing", "baseline"),
        (NO_TEACHER, "baseline"),
    ]
    assert set(students.trials_per_arm().values()) == {5}
    with_teacher, without = students.arms[0], students.arm(NO_TEACHER)
    assert set(with_teacher.parameters) - set(without.parameters) == {"distill_temperature", "distill_weight"}
    assert set(without.parameters) == {"lr", "epochs"}, "when to stop was searched, so it is here"
    for arm in students.arms:
        assert arm.parameters["lr"] == without.parameters["lr"]
        assert arm.fixed["train_on_meta"] is True
        assert (arm.fixed["model"], arm.fixed["width"]) == ("mlp", 32), "a quarter of the teachers'"
        assert {name: arm.fixed[name] for name in DATA} == {name: space.arms[0].fixed[name] for name in DATA}
    assert with_teacher.fixed["teacher"] == str(tmp_path / "learned-0")
    assert students.arms[1].fixed["teacher"] == str(tmp_path / "one_hot-1")


def test_students_have_a_seed_of_their_own_the_same_whenever_asked(tmp_path: Path) -> None:
    space = space_of()
    first, again = (students_of(space, teachers_of(space), tmp_path, Students()) for _ in range(2))
    assert first == again
    seed = first.arms[0].fixed["seed"]
    assert seed == first.search.seed != space.arms[0].fixed["seed"]
    other = space_of("search.seed=1")
    assert students_of(other, teachers_of(other), tmp_path, Students()).search.seed != seed


def test_a_student_can_be_chosen_and_what_is_searched_of_it(tmp_path: Path) -> None:
    space = space_of()
    asked = Students(model="cnn", width=4, epochs=7, changes=["distill_temperature=3.0", "search.sampler=random"])
    students = students_of(space, teachers_of(space), tmp_path, asked)
    for arm in students.arms:
        assert (arm.fixed["model"], arm.fixed["width"], arm.fixed["epochs"]) == ("cnn", 4, 7)
        assert arm.fixed.get("distill_temperature") == (3.0 if arm.method == "distillation" else None)
    assert students.search.sampler.type == "random"
    with pytest.raises(SpaceError, match="the unknown key widht"):
        students_of(space, teachers_of(space), tmp_path, Students(changes=["widht=3"]))


def test_a_student_sees_what_its_teachers_saw(tmp_path: Path) -> None:
    space = space_of()
    searched = "arms.from_learned.parameters.meta_size={type: int, low: 100, high: 150}"
    for change in ("val_size=200", "noise_rate=0.2", "seed=3", searched):
        with pytest.raises(InputError, match=r"--set: expected \w+ as the teachers have it, got another; remove that"):
            students_of(space, teachers_of(space), tmp_path, Students(changes=[change]))
    with pytest.raises(
        InputError, match=r"one_hot-1: expected the data of learned-0.* got another meta_size, noise_rate"
    ):
        students_of(space, teachers_of(space, meta_size=100, noise_rate=0.1), tmp_path, Students())
    with pytest.raises(InputError, match="one_hot-1: expected a teacher, got a student"):
        students_of(space, teachers_of(space, method="distillation"), tmp_path, Students())


def results_of(space: Space, accuracy: dict[str, list[float]]) -> list[tuple[Configuration, dict[int, SeedResult]]]:
    """Teachers that reached these test accuracies, by arm, on the seeds 100, 101, …; NaN: diverged."""

    def result(teacher: Configuration, seed: int, value: float) -> SeedResult:
        if np.isnan(value):
            return seed_result(teacher, seed, state="failed", reason="diverged: train_loss is nan after epoch 1")
        return seed_result(teacher, seed, test={"test_accuracy": value}, test_images=1000)

    return [
        (teacher, {seed: result(teacher, seed, value) for seed, value in enumerate(accuracy[teacher.arm], 100)})
        for teacher in teachers_of(space)
    ]


def confirmed(students: dict[str, list[float]]) -> Confirmation:
    """A confirmation of students with these test accuracies on the seeds 100, 101, …"""
    arms = {
        arm: configuration(number, values, seeds=[100 + i for i in range(len(values))])
        for number, (arm, values) in enumerate(students.items())
    }
    return confirmation(arms)


def test_a_better_teacher_with_a_worse_student_is_reported(tmp_path: Path) -> None:
    space = space_of()
    teachers = results_of(
        space, {"learned": [0.9, 0.91, 0.92], "one_hot": [0.9, 0.9, 0.9], "label_smoothing": [0.93, 0.94, 0.95]}
    )
    said = confirmed(
        {
            "from_learned": [0.85, 0.86, 0.87],
            "from_one_hot": [0.84, 0.85, 0.86],
            "from_label_smoothing": [0.81, 0.82, 0.84],
            NO_TEACHER: [0.8, 0.8, 0.8],
        }
    )
    students = students_of(space, [teacher for teacher, _ in teachers], tmp_path, Students())
    distillation = build_distillation("label_lr", space, students, teachers, said, {})
    assert distillation.arms["label_smoothing"].teacher.test_accuracy_mean == pytest.approx(0.94)
    assert distillation.arms["label_smoothing"].student.test_accuracy == [0.81, 0.82, 0.84]
    assert distillation.arms[NO_TEACHER].teacher is None
    by_arm = {pair.arm: pair for pair in distillation.against_one_hot}
    assert set(by_arm) == {"learned", "label_smoothing"}
    smoothed = by_arm["label_smoothing"]
    assert smoothed.teacher.mean_difference == pytest.approx(0.04)
    assert smoothed.student.mean_difference == pytest.approx((-0.03 - 0.03 - 0.02) / 3)
    assert smoothed.student.ci95[1] < 0 < smoothed.teacher.ci95[0]
    words = smoothed.sentence
    assert words.startswith("against one_hot: the teacher label_smoothing is 4.0 points above [1.5, 6.5], its student")
    assert words.endswith("2.7 points below [1.2, 4.1]")


def test_a_diverged_teacher_is_reported_and_left_out_of_its_pairs(tmp_path: Path) -> None:
    space = space_of()
    teachers = results_of(
        space, {"learned": [0.9, float("nan"), 0.92], "one_hot": [0.8, 0.9, 0.9], "label_smoothing": [0.9, 0.9, 0.9]}
    )
    said = confirmed(
        {name: [0.8, 0.8, 0.8] for name in ("from_learned", "from_one_hot", "from_label_smoothing", NO_TEACHER)}
    )
    students = students_of(space, [teacher for teacher, _ in teachers], tmp_path, Students())
    distillation = build_distillation("label_lr", space, students, teachers, said, {"one_hot-1": "worker lost"})
    learned = distillation.arms["learned"].teacher
    assert (learned.n, learned.seeds, list(learned.failed)) == (2, [100, 102], [101])
    assert distillation.against_one_hot[0].teacher.n == 2
    assert distillation.notes == [
        "the teacher learned-0 diverged on 1 of 3 seeds: no student there",
        "one_hot-1 ended without a result (worker lost); the same command tries again",
    ]


def distill(sweep: Sweep, *arguments: str) -> Ended:
    where = ("--runs-dir", str(sweep.runs), "--address", sweep.address, "--concurrency", "1")
    return run("harness.distill", "label_lr", *where, *arguments, timeout=900)


def sizes(sweep: Sweep) -> dict[Path, int]:
    return {path: path.stat().st_size for path in sweep.runs.rglob("*")}


def test_what_cannot_be_taught_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = pretended(tmp_path / "none", "unused", values=lambda arm, place: None)
    sweep = pretended(tmp_path / "some", "unused")
    shutil.copytree(sweep.folder, sweep.runs / "taken")
    for where, arguments, code, said in (
        (nothing, (), 1, "no arm has a complete trial yet; go on with the search, then distill"),
        (sweep, ("--name", "label_lr"), 2, "--name: expected another name than the teachers' sweep has"),
        (sweep, ("--name", "../label_lr"), 2, "--name: expected letters, digits and ._-"),
        (sweep, ("--set", "val_size=100"), 2, "--set: expected val_size as the teachers have it"),
        (sweep, ("--student-model", "mpl"), 2, "did you mean mlp?"),
        (sweep, ("--name", "taken"), 2, "taken: this name is another space's; choose another --name"),
        (sweep, ("--tracking-uri", "carrier-pigeon:"), 2, "carrier-pigeon"),
    ):
        before = sizes(where)
        assert main(["label_lr", "--runs-dir", str(where.runs), *arguments]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err
        assert len(err.splitlines()) == 1 or "another space" in err, err
        assert sizes(where) == before
    assert main(["label_rl", "--runs-dir", str(sweep.runs)]) == 2
    assert "did you mean label_lr?" in capsys.readouterr().err


@dataclass(frozen=True)
class Distilled(Sweep):
    """A sweep whose teachers have students."""

    result: Ended

    @property
    def distillation(self) -> Distillation:
        return Distillation.load(self.runs / "label_lr-distill")

    def logits_times(self) -> dict[str, int]:
        """When each teacher's logits were written."""
        return {str(file): file.stat().st_mtime_ns for file in self.folder.glob("distill/*/*/logits.npz")}


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Distilled:
    sweep = pretended(tmp_path_factory.mktemp("runs"), ray_address, "baselines={one_hot: {method: one_hot}}")
    result = distill(sweep, "--trials", str(TRIALS), "--seeds", str(SEEDS))
    assert result.code == 0, result.all
    return Distilled(sweep.runs, ray_address, result)


@pytest.mark.slow
def test_it_ends_with_teachers_beside_students_and_a_verdict(distilled: Distilled) -> None:
    out = distilled.result.out
    assert distilled.result.err == ""
    found = distilled.distillation
    assert found.verdict in " ".join(out.split())
    assert found.verdict.startswith("no difference shown: from_learned ("), "two seeds do not show less than everything"
    table = out[out.index("its test") :].split("all numbers:")[0].splitlines()
    assert all(len(line.rstrip()) <= 80 for line in table), out
    for name in (*(f"{arm}-{one.teacher.trial}" for arm, one in found.arms.items() if one.teacher), "none"):
        assert any(line.startswith(name) for line in table), out
    assert [pair.arm for pair in found.against_one_hot] == ["learned"]
    assert "\x1b" not in out


@pytest.mark.slow
def test_each_student_learned_from_the_teacher_of_its_seed_and_tests_stayed_closed_before(distilled: Distilled) -> None:
    found = distilled.distillation
    seeds = {tuple(one.student.seeds) for one in found.arms.values()}
    assert seeds == {tuple(one.teacher.seeds) for one in found.arms.values() if one.teacher}
    assert len(next(iter(seeds))) == SEEDS
    results = {file: SeedResult.load(file) for file in distilled.folder.glob("distill/*/*/result.json")}
    assert len(results) == 2 * (1 + SEEDS)
    closed = [file for file, one in results.items() if not one.test]
    assert {file.parent.name for file in closed} == {str(load_students(distilled).search.seed)}
    files = list((distilled.runs / "label_lr-distill").glob("confirm/from_*/*/result.json"))
    assert len(files) == 2 * SEEDS
    for file in files:
        config = SeedResult.load(file).config
        assert (Path(config.teacher) / str(config.seed) / "logits.npz").is_file()
        assert config.width == 8


def load_students(distilled: Distilled) -> Space:
    return load(distilled.runs / "label_lr-distill" / "space.yaml")


@pytest.mark.slow
def test_mlflow_has_teachers_apart_from_the_trials_and_the_verdict_on_their_sweep(distilled: Distilled) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    server = MlflowReader(f"sqlite:///{distilled.runs}/mlflow.db")
    sweep = server.sweep("label_lr")
    assert sweep.tags["distillation"] == distilled.distillation.verdict
    teachers = sweep.trials("teacher")
    assert len(teachers) == 2 * (1 + SEEDS)
    assert set(teachers["state"]) == {"complete"}
    assert teachers["metrics.test_accuracy"].isna().sum() == 2, "those that the search of the students rests on"
    assert len(server.sweep("label_lr-distill").trials("confirmation")) == 3 * SEEDS


@pytest.mark.slow
def test_the_same_command_runs_nothing_a_larger_one_what_is_missing(distilled: Distilled) -> None:
    before, found = distilled.logits_times(), distilled.distillation
    again = distill(distilled, "--trials", str(TRIALS), "--seeds", str(SEEDS))
    assert again.code == 0, again.all
    assert "first result" not in again.out
    assert (distilled.logits_times(), distilled.distillation) == (before, found)
    lost = next(iter(before))
    Path(lost).unlink()  # of a teacher that has students already
    more = distill(distilled, "--trials", str(TRIALS), "--seeds", str(SEEDS + 1))
    assert more.code == 0, more.all
    after = distilled.logits_times()
    assert len(after) == len(before) + 2
    assert {file: after[file] for file in before if file != lost} == {f: t for f, t in before.items() if f != lost}
    assert after[lost] > before[lost]
    assert distilled.distillation.arms["learned"].student.seeds[:SEEDS] == found.arms["learned"].student.seeds
    assert distilled.distillation.n == SEEDS + 1
    other = distill(distilled, "--trials", str(TRIALS), "--student-width", "4")
    assert (other.code, other.out) == (2, "")
    assert "this name is another space's; choose another --name" in other.err
