"""Result of a search: its best trials, a summary of each arm, counts of end states, tracking status."""

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from harness.results.result_file import ResultFile, ResultPart
from harness.results.tracking_status import TrackingStatus
from harness.space.arm import Role
from harness.space.document import Objective

if TYPE_CHECKING:
    import pandas as pd


class StateCounts(ResultPart):
    """Number of trials by how they ended."""

    complete: int
    pruned: int
    failed: int

    @property
    def total(self) -> int:
        return self.complete + self.pruned + self.failed


class BestTrial(ResultPart):
    """The best complete trial of a sweep by its (first) objective, with the metrics of its last epoch."""

    arm: str
    trial: int
    params: dict[str, Any]
    val_accuracy: float | None
    val_loss: float | None

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.trial}"


class ArmSummary(ResultPart):
    """One arm: its trials, and its best complete one, whose fields are None if no trial is complete.

    Metrics are those of the last epoch, never the best over epochs. Where a trial has several seeds they are means.
    """

    role: Role
    trials: int
    states: StateCounts
    trial: int | None = Field(description="number of the best trial")
    params: dict[str, Any] | None
    val_images: int | None = Field(description="validation images of one seed")
    val_accuracy: float | None
    val_accuracy_std: float | None = Field(description="sample standard deviation over the seeds of the trial")
    label_accuracy: float | None = Field(description="share of training labels whose largest entry is the true class")
    noisy_labels_corrected: float | None = Field(description="share of the wrong labels that were corrected")
    clean_labels_kept: float | None = Field(description="share of the right labels that stayed right")
    front: list[int] = Field(default=[], description="several objectives: trials on the arm's own Pareto front")


class FrontTrial(ResultPart):
    """A trial on the Pareto front of a sweep with several objectives."""

    trial: int
    name: str
    arm: str
    params: dict[str, Any]
    values: dict[str, float] = Field(description="by metric, in the order of the objectives")


class SweepSummary(ResultFile):
    """A search's result: `best` trial, `arms` by name, `trials` as a DataFrame, `path` of the sweep's folder."""

    FILE: ClassVar[str] = "summary.json"
    WRITTEN_BY: ClassVar[str] = "harness.search"

    name: str
    study: str
    states: StateCounts
    seeds_per_trial: int
    objectives: list[Objective] = Field(description="the first decides what is best")
    front: list[FrontTrial] = Field(
        default=[], description="several objectives: trials that no other dominates, best first by the first objective"
    )
    best: BestTrial | None = Field(description="None where no trial is complete")
    arms: dict[str, ArmSummary]
    failures: dict[int, str] = Field(description="failed trials, and why")
    trial_seconds: float = Field(description="of all trials together")
    wall_seconds: float = Field(description="of the search, all its runs together")
    mlflow: TrackingStatus | None = Field(default=None, description="None while the sweep runs")

    cut_short: bool = Field(
        default=False, exclude=True, description="this call ended before the budget was spent; not saved"
    )
    interrupted: bool = Field(
        default=False, exclude=True, description="the user ended it, not its time budget; not saved"
    )

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return self.objectives[0]

    @property
    def is_multi_objective(self) -> bool:
        """Whether there are several objectives, and so a Pareto front."""
        return len(self.objectives) > 1

    @property
    def trials(self) -> "pd.DataFrame":
        """One row per trial: `trial`, `name`, `arm`, `state`, `reason`, `seconds`, `params.…`, `metrics.…`.

        Read from the sweep's folder each time, so that it holds what the folder holds now.
        """
        from harness.tracking.spool.spooled_sweep import SpooledSweep

        return SpooledSweep.read(self.path).trials()

    def __repr__(self) -> str:
        best = "no trial complete"
        if self.best is not None:
            value = getattr(self.best, self.objective.metric)
            best = f"best {self.best.name} {self.objective.metric} {value:.3f}"
        return f"SweepSummary({self.name}: {self.states.total} trials, {best})"
