"""Document of a space: the keys of a space file and of a call `Space(…)`.

The JSON schema and the reference page are generated from these types. `harness.space.resolve` makes arms of a document.
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from harness.space.base import Count, FrozenModel, Natural, Positive
from harness.space.constraints import Constraint
from harness.space.errors.validation import invalid, raise_all
from harness.space.settings import Parameters, Settings
from harness.space.strategies import Pruner, Sampler, SuccessiveHalving, Tpe
from harness.training.config.run_config import MethodName

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""Name of a sweep and of its folder: it neither leaves the parent folder nor is hidden in it."""

ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]
"""Name without a dot, which separates the keys of `--set`."""

Direction = Literal["maximize", "minimize"]

DIRECTIONS: dict[str, Direction] = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "val_calibration_error": "minimize",
    "epochs": "minimize",
    "busy_seconds": "minimize",
}
"""Metrics that may be an objective, all measured on the validation part or by the clock, and their direction."""

MAIN_METRICS = ("val_accuracy", "val_loss")
"""Metrics for the only or first objective. A model that learns nothing is good in the others."""


class Objective(FrozenModel):
    """A metric to optimise. It is measured on the validation part, as the meta set trains the labels."""

    metric: Literal["val_accuracy", "val_loss", "val_calibration_error", "epochs", "busy_seconds"] = Field(
        default="val_accuracy", description="metric at the end of a run"
    )
    direction: Direction = Field(
        default_factory=lambda data: DIRECTIONS[data.get("metric", "val_accuracy")],
        description="maximize or minimize; default: the direction of the metric",
    )

    @property
    def sign(self) -> int:
        """Factor that makes larger values better."""
        return 1 if self.direction == "maximize" else -1

    def __str__(self) -> str:
        return f"{self.direction} {self.metric}"

    @field_validator("direction")
    @classmethod
    def _check_direction(cls, direction: str, info: ValidationInfo) -> str:
        metric = info.data.get("metric")
        if metric is not None and direction != DIRECTIONS[metric]:
            expected = DIRECTIONS[metric]
            raise invalid(f"{expected} for {metric}", direction, f"write direction: {expected}")
        return direction


LEAST_SHARE = 0.0001
"""Least amount of a resource that Ray counts."""


class Resources(FrozenModel):
    """Resources and limits of one trial."""

    cpu: Annotated[float, Field(ge=LEAST_SHARE)] = Field(default=1.0, description="CPU cores, or a share of one")
    gpu: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="whole GPUs, or a share of one; default: one if the cluster has any"
    )
    accelerator: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Ray's name of the GPU type, such as H100; default: any"
    )
    memory_gib: Positive | None = Field(default=None, description="memory in GiB; default: not reserved")
    limit_seconds: Positive | None = Field(
        default=None,
        description="computing time of all seeds together after which a trial fails, also if it hangs; default: no "
        "limit",
    )
    checkpoint_seconds: Positive = Field(
        default=5.0, description="training time between two checkpoints, from which an interrupted trial continues"
    )
    half_batch: bool = Field(
        default=False,
        description="restart a trial that ran out of memory once, with half of `batch_size` and of `meta_batch_size`; "
        "a warning of the trial says so",
    )
    wait_for_nodes: bool = Field(
        default=False,
        description="request resources for `concurrency` trials even if the cluster has too few nodes; for a cluster "
        "that scales itself",
    )
    niceness: Annotated[int, Field(ge=0, le=19)] | None = Field(
        default=None,
        description="priority of the workers: at 19 they yield to all other processes, at 0 to none; default: Ray's, "
        "which is 15",
    )

    @field_validator("gpu")
    @classmethod
    def _check_gpu(cls, gpu: float | None) -> float | None:
        """Refuse what Ray cannot place: less than it counts, or a share beside whole GPUs."""
        if gpu and gpu < LEAST_SHARE:
            raise invalid(f"0, or a share from {LEAST_SHARE:g} up", f"{gpu:g}", f"write {LEAST_SHARE:g}, or more")
        if gpu and gpu > 1 and gpu != int(gpu):
            raise invalid("whole GPUs, or a share of one", f"{gpu:g}", f"write {int(gpu)} or {int(gpu) + 1}")
        return gpu


class StopWhen(FrozenModel):
    """Conditions that stop a search early. Any one of them is enough."""

    no_gain_trials: Count | None = Field(
        default=None, description="this many trials in a row improved neither the best value nor the Pareto front"
    )
    expected_improvement_below: Positive | None = Field(
        default=None,
        description="the expected improvement of the next trial is below this, in the unit of the metric; for one "
        "objective",
    )

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if self.no_gain_trials is None and self.expected_improvement_below is None:
            raise invalid("a condition", "none", f"give {' or '.join(type(self).model_fields)}")
        return self


class Search(FrozenModel):
    """Budget, strategy and resources of a search."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=24, description="trials of all arms together, divided evenly; the first arms get the remainder"
    )
    seeds_per_trial: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1,
        description="runs of each trial, with consecutive seeds from `seed`; the trial's curve is their mean at each "
        "epoch, its labels are those of the first run",
    )
    sampler: Sampler = Field(default=Tpe(), description="algorithm that suggests parameters")
    pruner: Pruner = Field(
        default=SuccessiveHalving(), description="algorithm that stops trials early; none for several objectives"
    )
    seed: Natural = Field(default=0, description="seed of the sampler; the seed of a run is the setting `seed`")
    concurrency: Count | None = Field(
        default=None, description="trials at the same time; default: as many as the resources allow"
    )
    resources: Resources = Field(default=Resources(), description="resources and limits of one trial")
    time_budget_seconds: Positive | None = Field(
        default=None, description="time after which no trial starts; default: no limit"
    )
    epoch_budget: Count | None = Field(
        default=None, description="epochs of all runs together after which no trial starts; default: no limit"
    )
    stop_when: StopWhen | None = Field(default=None, description="conditions to stop early; default: none")

    @model_validator(mode="after")
    def _check_wait_for_nodes(self) -> Self:
        """Require the numbers that are otherwise read from the cluster, whose nodes do not exist yet."""
        if self.resources.wait_for_nodes:
            required = {("concurrency",): self.concurrency, ("resources", "gpu"): self.resources.gpu}
            error = invalid("a number beside wait_for_nodes", "none", "give it, as no node exists yet to read it from")
            raise_all((path, error) for path, value in required.items() if value is None)
        return self


Points = Annotated[
    tuple[Settings, ...],
    Field(strict=False),
    # In a file, the path of another one: `harness.space.yaml_file.points` replaces it before validation.
    BeforeValidator(lambda value: value, json_schema_input_type=tuple[Settings, ...] | str),
]


class ArmEntry(FrozenModel):
    """A method with its settings and parameters."""

    method: MethodName = Field(description="training method: how labels are treated")
    fixed: Settings = Field(
        default={}, description="settings of this arm; they override shared settings and parameters"
    )
    parameters: Parameters = Field(
        default={}, description="parameters of this arm; they override shared settings and parameters"
    )
    points: Points = Field(
        default=(),
        description="configurations to try first, in this order, or the path of a YAML or JSON file that lists them, "
        "relative to this one; the sampler suggests what a point omits",
    )


class Document(FrozenModel):
    """The keys of a space, as written."""

    study: Name = Field(description="name of the sweep, unless the command line gives another")
    fixed: Settings = Field(default={}, description="settings of every arm that does not override them")
    parameters: Parameters = Field(default={}, description="parameters of every arm that does not override them")
    arms: Annotated[dict[ArmName, ArmEntry], Field(min_length=1)] = Field(description="methods to study, by name")
    baselines: dict[ArmName, ArmEntry] = Field(
        {},
        description="methods to compare with, by name: they get the same budget, and train_on_meta by default",
    )
    objective: Objective = Field(default=Objective(), description="metric to optimise")
    objectives: Annotated[tuple[Objective, ...], Field(strict=False)] = Field(
        default=(), description="instead of objective: two or more metrics, whose Pareto front is the result"
    )
    constraints: Annotated[tuple[Constraint, ...], Field(strict=False)] = Field(
        default=(), description="comparisons of settings and metrics that a trial has to satisfy"
    )
    search: Search = Field(default=Search(), description="budget, strategy and resources of the search")
