"""A space file as it is written: the types that the JSON schema and the reference page are made of.

`harness.space.resolve` makes a `Space` of it, in which nothing is left to be looked up elsewhere.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from harness.space.constraints import Constraint
from harness.space.errors.problems import Path, complaint, complaints
from harness.space.parameters import Count, Frozen, Natural
from harness.space.settings import Parameters, Settings
from harness.space.strategies import Pruner, Sampler, SuccessiveHalving, Tpe
from harness.training.config.run_config import Method

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""A name that is a folder's too: it can neither leave its parent nor hide there."""

ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
"""As a `Name`, without the dot, which parts the keys of `--set`."""

Seconds = Annotated[float, Field(gt=0)]

Direction = Literal["maximize", "minimize"]

BETTER: dict[str, Direction] = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "val_calibration_error": "minimize",
    "epochs": "minimize",
    "busy_seconds": "minimize",
}
"""What may drive a search, measured on the validation part alone or on the clock, and which way is better."""

MAIN = ("val_accuracy", "val_loss")
"""What a run is good for: the only objective, or the first. The others are easily had by learning nothing."""


class Objective(Frozen):
    """What the search is after. Only the validation part may drive it: the meta set has driven the labels already."""

    metric: Literal["val_accuracy", "val_loss", "val_calibration_error", "epochs", "busy_seconds"] = Field(
        default="val_accuracy", description="what is measured, at the end of a run"
    )
    direction: Direction = Field(
        default_factory=lambda data: BETTER[data.get("metric", "val_accuracy")],
        description="which way is better; left out: the metric's own",
    )

    @property
    def sign(self) -> int:
        """What a value is multiplied with so that more is better."""
        return 1 if self.direction == "maximize" else -1

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"

    @field_validator("direction")
    @classmethod
    def _towards_better(cls, direction: str, info: ValidationInfo) -> str:
        metric = info.data.get("metric")
        if metric is not None and direction != BETTER[metric]:
            raise complaint(f"{BETTER[metric]} for {metric}", direction, f"write direction: {BETTER[metric]}")
        return direction


class Resources(Frozen):
    """What one trial holds while it runs."""

    cpu: Annotated[float, Field(gt=0)] = Field(default=1.0, description="CPU cores, or a share of one")
    gpu: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="GPUs, or a share of one; left out: one where the cluster has any"
    )
    accelerator: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="type of GPU in Ray's words, as in H100; left out: any"
    )
    memory_gib: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="memory in GiB; left out: not counted"
    )
    limit_seconds: Seconds | None = Field(
        default=None,
        description="the most that it may compute, all its seeds together; it is failed then, also where it hangs; "
        "left out: no limit",
    )
    checkpoint_seconds: Seconds = Field(
        default=5.0, description="seconds of training between two checkpoints, from which a lost trial goes on"
    )
    half_batch: bool = Field(
        default=False,
        description="try a trial whose memory ran out once more, from its start, with half of `batch_size` and of "
        "`meta_batch_size`; its remark says so",
    )
    wait_for_nodes: bool = Field(
        default=False,
        description="ask the cluster for room for `concurrency` trials though it has not that many nodes yet, as one "
        "has to that grows by itself",
    )


class StopWhen(Frozen):
    """When more trials are not worth their while: as soon as one of the conditions given holds."""

    no_gain_trials: Count | None = Field(
        default=None, description="this many trials in a row brought no new best, or nothing new to the Pareto front"
    )
    expected_improvement_below: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="the expected improvement of the next trial, in the metric's unit, is below this; of one objective",
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.no_gain_trials is None and self.expected_improvement_below is None:
            raise complaint("a condition", "none", f"give {' or '.join(type(self).model_fields)}")
        return self


class Search(Frozen):
    """How the space is searched, and with what."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=24, description="trials of all arms together, an even share each, the remainder to the first"
    )
    seeds_per_trial: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1,
        description="runs of each trial, on the seeds from `seed` up; a trial is judged by their mean, epoch by epoch, "
        "and leaves the labels of the first",
    )
    sampler: Sampler = Field(default=Tpe(type="tpe"), description="what suggests")
    pruner: Pruner = Field(
        default=SuccessiveHalving(type="successive_halving"),
        description="what stops the hopeless early; with several objectives none",
    )
    seed: Natural = Field(default=0, description="draws the suggestions; a run's own seed is the setting `seed`")
    concurrency: Count | None = Field(
        default=None, description="trials side by side; left out: as many as there is room for"
    )
    resources: Resources = Field(default=Resources(), description="what one trial holds")
    time_budget_seconds: Seconds | None = Field(
        default=None, description="stop starting trials after this; left out: never"
    )
    epoch_budget: Count | None = Field(
        default=None,
        description="stop starting trials after this many epochs of all runs together; left out: never",
    )
    stop_when: StopWhen | None = Field(default=None, description="stop early; left out: never")

    @model_validator(mode="after")
    def _said_beforehand(self) -> Self:
        """What is else read off the cluster, which is not there yet."""
        if self.resources.wait_for_nodes:
            said = {("concurrency",): self.concurrency, ("resources", "gpu"): self.resources.gpu}
            words = complaint("a number beside wait_for_nodes", "none", "say it, since no node is there yet to tell")
            complaints("", [(path, words) for path, value in said.items() if value is None])
        return self


Points = Annotated[
    tuple[Settings, ...],
    Field(strict=False),
    # A path was replaced by the file's own list before anything is validated: see `harness.space.yaml_file.points`.
    BeforeValidator(lambda value: value, json_schema_input_type=tuple[Settings, ...] | str),
]


class ArmEntry(Frozen):
    """A method with its own settings and parameters."""

    method: Method = Field(description="how labels are treated")
    fixed: Settings = Field(
        default={}, description="settings of this arm; they go before the shared ones, fixed or searched"
    )
    parameters: Parameters = Field(
        default={}, description="searched in this arm; they go before the shared ones, fixed or searched"
    )
    points: Points = Field(
        default=(),
        description="values of parameters to try first, in this order, or the path of a YAML or JSON file that lists "
        "them, seen from this one; what a point leaves out is suggested",
    )


class Document(Frozen):
    """A space file."""

    study: Name = Field(description="the sweep's name, unless the command line gives another")
    fixed: Settings = Field(default={}, description="settings of every run, unless an arm says otherwise")
    parameters: Parameters = Field(default={}, description="searched in every arm, unless an arm says otherwise")
    arms: Annotated[dict[ArmName, ArmEntry], Field(min_length=1)] = Field(description="what is studied, by name")
    baselines: dict[ArmName, ArmEntry] = Field(
        {},
        description="what it has to beat, by name: the same budget, and train_on_meta unless said otherwise",
    )
    objective: Objective = Field(default=Objective(), description="what the search is after")
    objectives: Annotated[tuple[Objective, ...], Field(strict=False)] = Field(
        default=(), description="in place of objective: several, and the result is their Pareto front"
    )
    constraints: Annotated[tuple[Constraint, ...], Field(strict=False)] = Field(
        default=(), description="comparisons over settings and metrics that a trial has to keep"
    )
    search: Search = Field(default=Search(), description="how it is searched")

    @field_validator("objective")
    @classmethod
    def _good_for_something(cls, objective: Objective) -> Objective:
        complaints("objective", _not_main(objective, ("metric",)))
        return objective

    @field_validator("objectives")
    @classmethod
    def _several(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        if len(objectives) < 2:
            got = "one" if objectives else "none"
            raise complaint("two objectives or more", got, "write objective: {metric: …}")
        metrics = [objective.metric for objective in objectives]
        twice = [
            ((place, "metric"), complaint("each metric once", f"{metric} again", "remove one of the two"))
            for place, metric in enumerate(metrics)
            if metric in metrics[:place]
        ]
        complaints("objectives", [*_not_main(objectives[0], (0, "metric")), *twice])
        return objectives


def _not_main(objective: Objective, path: Path) -> Iterator[tuple[Path, PydanticCustomError]]:
    if objective.metric not in MAIN:
        remedy = "name one of these first, this one after it, under objectives"
        yield path, complaint(" or ".join(MAIN), objective.metric, remedy)
