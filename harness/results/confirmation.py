"""Result of a confirmation: configurations on fresh seeds and the test part, comparisons, the verdict."""

from typing import ClassVar, Literal

from pydantic import Field

from harness.results.measurement import ConfigurationResults, Interval, PairedDifference
from harness.results.provenance import Provenance
from harness.results.result_file import ResultFile, ResultPart
from harness.results.tracking_status import TrackingStatus
from harness.space.arm import Role

Outcome = Literal["better", "worse", "undecided", "not compared"]


class ArmConfirmation(ResultPart):
    """The configurations of one arm that were confirmed."""

    role: Role
    best_name: str | None = Field(description="configuration with the best mean on the seeds' validation parts")
    configurations: dict[str, ConfigurationResults] = Field(description="by ARM-TRIAL")

    @property
    def best(self) -> ConfigurationResults | None:
        """Results of that configuration; None where nothing of the arm was confirmed."""
        return None if self.best_name is None else self.configurations[self.best_name]


class Comparison(PairedDifference):
    """A configuration of an arm minus one of a baseline."""

    arm: str
    trial: int
    baseline: str
    baseline_trial: int
    ci95_corrected: Interval = Field(description="holds for all configurations that were tested, together")
    p_value: float = Field(description="corrected by Holm's method, one family per baseline")

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.trial}"

    @property
    def baseline_name(self) -> str:
        return f"{self.baseline}-{self.baseline_trial}"


class Gain(PairedDifference):
    """The numbers of the verdict: a configuration minus the best of the baselines."""

    arm: str
    trial: int
    baseline: str
    baseline_trial: int
    required_n: int | None = Field(description="undecided: seeds that would show a difference of interest")


class VerdictRule(ResultPart):
    """Rule by which a difference is judged."""

    name: str
    alpha: float = Field(description="chance of a wrong verdict, at most")
    n_comparisons: int = Field(description="configurations of the sweep that were ever measured on the test part")
    power: float = Field(description="chance to show a difference of interest, for required_n")


class Evaluation(ResultPart):
    """One number of seeds at which the results were judged."""

    n: int = Field(description="fresh seeds")
    sequential: bool = Field(description="by the rule that is valid after every seed")


class Confirmation(ResultFile):
    """A confirmation's result: the `verdict`, its numbers in `gain`, each configuration's results in `arms`."""

    FILE: ClassVar[str] = "confirm.json"
    WRITTEN_BY: ClassVar[str] = "harness.confirm"

    name: str
    study: str
    n: int = Field(description="fresh seeds")
    sequential: bool = Field(description="whether seeds were added until the verdict was clear")
    rule: VerdictRule
    data_used: dict[str, str] = Field(description="for each number, which part of the data it was measured on")
    arms: dict[str, ArmConfirmation]
    comparisons: list[Comparison] = Field(description="every configuration of an arm against every baseline")
    outcome: Outcome = Field(description="the verdict as a word")
    verdict: str = Field(description="one sentence")
    gain: Gain | None = Field(description="None where nothing was compared")
    notes: list[str] = Field(description="limits of the result, a sentence each")
    provenance: Provenance | None = None
    evaluations: list[Evaluation] = Field(default=[], description="every time the results were judged, the last now")

    lost: dict[str, str] = Field(
        default={}, exclude=True, description="runs of this call without a result, and why; not saved"
    )
    mlflow: TrackingStatus | None = Field(
        default=None, exclude=True, description="how much MLflow had at the end of this call; not saved"
    )

    def ranked(self) -> list[tuple[str, str, ConfigurationResults]]:
        """(arm, name, results) of each configuration: arms before baselines, the best on validation first."""
        return [
            item
            for role in ("arm", "baseline")
            for item in sorted(
                (
                    (arm, name, results)
                    for arm, results_of_arm in self.arms.items()
                    if results_of_arm.role == role
                    for name, results in results_of_arm.configurations.items()
                ),
                key=lambda item: -(item[2].val_accuracy_mean or 0.0),
            )
        ]

    def __repr__(self) -> str:
        gain = "" if self.gain is None else f", {100 * self.gain.mean_difference:+.1f} points"
        return f"Confirmation({self.name}: {self.outcome}{gain}, {self.n} seeds)"
