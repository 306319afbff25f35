"""Result of a distillation: each teacher with its student, and the comparison of the students."""

from typing import ClassVar

from pydantic import Field

from harness.results.confirmation import Comparison, Gain, Outcome
from harness.results.measurement import ConfigurationResults, PairedDifference
from harness.results.result_file import ResultFile, ResultPart
from harness.space.arm import Role


class ModelSetting(ResultPart):
    """The network of a teacher or student."""

    model: str
    width: int


class StudentSetting(ModelSetting):
    """A student: network and data; None where the setting is the default."""

    train_size: int | None
    meta_size: int | None
    noise: str | None
    noise_rate: float | None
    dataset: str | None


class ArmDistillation(ResultPart):
    """A teacher and its student."""

    role: Role
    method: str
    teacher: ConfigurationResults | None = Field(description="None of the arm without a teacher")
    student: ConfigurationResults | None = Field(description="None where no trial of the student is complete")


class TeacherEffect(ResultPart):
    """A teacher and its student, each minus the one-hot teacher and its student."""

    arm: str
    one_hot: str
    method: str
    teacher: PairedDifference
    student: PairedDifference
    sentence: str


class Distillation(ResultFile):
    """A distillation's result: teachers and students in `arms`; `verdict` and `gain` compare the students."""

    FILE: ClassVar[str] = "distill.json"
    WRITTEN_BY: ClassVar[str] = "harness.distill"

    name: str = Field(description="the sweep of the teachers")
    students: str = Field(description="the sweep of the students")
    student: StudentSetting
    teacher: ModelSetting
    n: int = Field(description="fresh seeds")
    arms: dict[str, ArmDistillation]
    comparisons: list[Comparison] = Field(description="students against students, as in a confirmation")
    outcome: Outcome = Field(description="the verdict as a word")
    verdict: str = Field(description="one sentence")
    gain: Gain | None = Field(description="None where nothing was compared")
    against_one_hot: list[TeacherEffect]
    data_used: dict[str, str] = Field(description="for each number, which part of the data it was measured on")
    notes: list[str]

    lost: dict[str, str] = Field(
        default={}, exclude=True, description="runs of this call without a result, and why; not saved"
    )

    def ranked(self) -> list[tuple[str, ArmDistillation]]:
        """Arms by the test accuracy of their students, best first."""
        return sorted(
            self.arms.items(), key=lambda item: -((item[1].student and item[1].student.test_accuracy_mean) or 0.0)
        )

    def __repr__(self) -> str:
        return f"Distillation({self.name}: students {self.outcome}, {len(self.arms)} arms, {self.n} seeds)"
