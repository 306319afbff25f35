"""Class similarity in the labels of a sweep, and its agreement with a reference."""

from typing import Any, ClassVar

from pydantic import ConfigDict, Field

from harness.results.measurement import Finite, Interval
from harness.results.result_file import ResultFile, ResultPart
from harness.space.arm import Role
from harness.training.config.run_config import RunConfig

ClassTable = list[list[float]]
"""[classes, classes]; row c is the mean label of the images of class c."""


class RankAgreement(ResultPart):
    """Rank correlation of two tables of classes; None in place of numbers where one is constant."""

    rho: Finite = Field(description="None where the correlation with a flat table is not defined")
    ci95: Interval = Field(description="over classes, by the jackknife")
    p_value: Finite = Field(description="share of renamings of the classes that agree as well or better")
    classes: int
    pairs: int


class ArmSemantics(ResultPart):
    """The labels of one arm against the reference."""

    role: Role
    method: str
    trial: int
    runs: int = Field(description="number of runs that the table is the mean of")
    off_class_mass: float = Field(description="share of a label on other classes than its own, mean over classes")
    symmetric: RankAgreement = Field(description="of (Y + Yᵀ)/2, over unordered pairs")
    directed: RankAgreement | None = Field(description="over ordered pairs; None where the reference is symmetric")
    rho_by_run: list[Finite] = Field(description="of each run's own table; empty of a single run")
    most_alike: list[tuple[int, int, float]] = Field(description="(i, j, mean label mass of one on the other)")
    table: ClassTable

    @property
    def rho(self) -> float | None:
        return self.symmetric.rho


class ReferenceSummary(ResultPart):
    """A reference: where it comes from, its table, and facts that depend on its kind."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(description="votes, model or superclasses")
    table: ClassTable

    @property
    def facts(self) -> dict[str, Any]:
        return self.model_extra or {}


class ReferenceModel(ResultFile):
    """Predictions of one independent model, kept so that it is not trained again."""

    FILE: ClassVar[str] = "predictions.json"
    WRITTEN_BY: ClassVar[str] = "harness.semantics"

    config: RunConfig
    table: ClassTable = Field(description="mean prediction by class, over images that the model did not see")
    accuracy: float = Field(description="on those images")
    images: int


class Semantics(ResultFile):
    """Labels of the `arms` against a `reference`; the `sentence` is about the arm that the search puts first."""

    FILE: ClassVar[str] = "semantics.json"
    WRITTEN_BY: ClassVar[str] = "harness.semantics"

    name: str
    class_names: list[str]
    reference: ReferenceSummary
    arms: dict[str, ArmSemantics]
    significant: bool = Field(description="whether p is at most 0.05 in that arm")
    sentence: str
    meaning: dict[str, str] = Field(description="for each number, its definition")

    def pairs_most_alike(self, arm: ArmSemantics, count: int, between: str = "~") -> str:
        """`cat~dog, coat~shirt`: the first `count` of the pairs that the labels of an arm take to be most alike."""
        pairs = [(self.class_names[i], self.class_names[j]) for i, j, _ in arm.most_alike[:count]]
        return ", ".join(between.join(pair) for pair in pairs)

    def ranked(self) -> list[tuple[str, ArmSemantics]]:
        """Arms by their agreement, best first; those with a constant table last."""
        return sorted(self.arms.items(), key=lambda item: -(-2.0 if item[1].rho is None else item[1].rho))

    def __repr__(self) -> str:
        shown = "" if self.significant else "no "
        return f"Semantics({self.name}: {shown}agreement shown with {self.reference.kind}, {len(self.arms)} arms)"
