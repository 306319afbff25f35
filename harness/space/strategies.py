"""Search strategies: samplers, which suggest parameters, and pruners, which stop trials that are unlikely to win.

Each has a `type` and options, which mean what they mean in Optuna 5, with the epoch as step. The name of the type alone
stands for default options: `sampler: tpe`.
"""

from typing import Annotated, Literal

from pydantic import Field

from harness.space.base import Count, Natural, TypedModel, member_by_type

Probability = Annotated[float, Field(ge=0, le=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]
Start = Annotated[
    Literal["sobol", "random"],
    Field(description="how startup trials are drawn: from a scrambled Sobol sequence, or independently"),
]


class Tpe(TypedModel):
    """Tree-structured Parzen estimator: models good and bad trials apart, and suggests where they differ most.

    Neither `tpe` nor `gp` suggests a configuration that the arm has tried.
    """

    type: Literal["tpe"] = "tpe"
    startup_trials: Count = Field(default=10, description="finished trials of an arm before the model suggests")
    start: Start = "sobol"
    candidates: Count = Field(default=24, description="draws from which the best is suggested")


class Random(TypedModel):
    """Independent draws."""

    type: Literal["random"] = "random"


class Qmc(TypedModel):
    """Quasi-random draws, spread more evenly than random ones."""

    type: Literal["qmc"] = "qmc"
    sequence: Literal["sobol", "halton"] = Field(default="sobol", description="low-discrepancy sequence")
    scramble: bool = Field(default=True, description="randomise the sequence by the seed")


class Gp(TypedModel):
    """Gaussian process with expected improvement; slow beyond about 500 trials."""

    type: Literal["gp"] = "gp"
    startup_trials: Count = Field(default=10, description="finished trials of an arm before the model suggests")
    start: Start = "sobol"
    deterministic: bool = Field(default=False, description="assume that results have no noise")


class CmaEs(TypedModel):
    """Covariance matrix adaptation: an evolution strategy for numbers (no categories or `when`)."""

    type: Literal["cmaes"] = "cmaes"
    startup_trials: Count = Field(default=1, description="random trials of an arm before the strategy starts")


class Nsga2(TypedModel):
    """Non-dominated sorting genetic algorithm (Deb et al., 2002), whose first generation is random.

    A child takes its values from parents on or near the Pareto front. The parents of a generation are chosen when the
    previous one is complete, so an arm with fewer trials than a population is searched at random. A parameter with
    `when` is drawn at random too.
    """

    type: Literal["nsga2"] = "nsga2"
    population_size: AtLeastTwo = Field(
        default=20, description="complete trials of a generation; pruned ones do not count"
    )
    mutation_prob: Probability | None = Field(
        default=None, description="probability that a value is drawn anew; default: 1 / number of parameters"
    )
    crossover_prob: Probability = Field(
        default=0.9, description="probability that a child has two parents instead of one"
    )
    swapping_prob: Probability = Field(
        default=0.5, description="probability that a value comes from the second of two parents"
    )


class Grid(TypedModel):
    """Every combination once, in an order drawn by the seed. Each parameter needs countable values."""

    type: Literal["grid"] = "grid"


class SuccessiveHalving(TypedModel):
    """At each rung only the best 1 / reduction_factor of the trials that reached it continue.

    Early results predict final ones only after a share of the run. Without `min_epochs`, the first rung is therefore at
    two fifths of the longest run of the arm.
    """

    type: Literal["successive_halving"] = "successive_halving"
    min_epochs: Count | None = Field(
        default=None,
        description="first rung; each next one is reduction_factor times further; default: two fifths of the arm's "
        "largest number of epochs",
    )
    reduction_factor: AtLeastTwo = Field(default=2, description="one in this many continues")
    min_early_stopping_rate: Natural = Field(default=0, description="number of first rungs to skip")
    bootstrap_count: Natural = Field(default=0, description="trials that must reach a rung before any is stopped there")


class Hyperband(TypedModel):
    """Successive halving with several first rungs: many short trials in one bracket, few long ones in another."""

    type: Literal["hyperband"] = "hyperband"
    min_epochs: Count = Field(default=1, description="first rung of the bracket that stops trials earliest")
    max_epochs: Count | None = Field(default=None, description="last rung; default: the arm's largest number of epochs")
    reduction_factor: AtLeastTwo = Field(default=3, description="one in this many continues")
    bootstrap_count: Natural = Field(default=0, description="trials that must reach a rung before any is stopped there")


class Median(TypedModel):
    """Stops a trial whose best value so far is worse than the median of the others at the same epoch."""

    type: Literal["median"] = "median"
    startup_trials: Natural = Field(default=5, description="finished trials before any is stopped")
    warmup_epochs: Natural = Field(default=0, description="epochs of each trial before it may be stopped")
    interval_epochs: Count = Field(default=1, description="epochs between two decisions")
    min_trials: Count = Field(default=1, description="results at an epoch needed for a decision there")


class Wilcoxon(TypedModel):
    """Stops a trial that a signed-rank test over its epochs finds worse than the best trial."""

    type: Literal["wilcoxon"] = "wilcoxon"
    p_threshold: Annotated[float, Field(gt=0, le=1)] = Field(default=0.1, description="p-value below which to stop")
    startup_epochs: Natural = Field(default=2, description="epochs of each trial before it may be stopped, at least 2")


class NoPruner(TypedModel):
    """Every trial runs to its end."""

    type: Literal["none"] = "none"


AnySampler = Tpe | Random | Qmc | Gp | CmaEs | Nsga2 | Grid
AnyPruner = SuccessiveHalving | Hyperband | Median | Wilcoxon | NoPruner

Sampler = Annotated[AnySampler, member_by_type(AnySampler, name_alone=True)]
Pruner = Annotated[AnyPruner, member_by_type(AnyPruner, name_alone=True)]
