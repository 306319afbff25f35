"""How a space is searched: a sampler, which suggests, and a pruner, which stops what will not win.

Each is a kind and a few numbers, told apart by `type`; where the numbers are left as they are, the kind's name alone
will do: `sampler: tpe`. What a number means is what Optuna 5 means by it, in this project's unit of progress, the
epoch.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from harness.space.errors.problems import complaint, complaints, nearest, quote
from harness.space.parameters import Count, Frozen, Natural

Start = Annotated[
    Literal["sobol", "random"],
    Field(description="how these are drawn: spread evenly (a scrambled Sobol sequence), or independently"),
]


class Tpe(Frozen):
    """Tree-structured Parzen estimator: models good and bad trials apart, and suggests where they differ most.

    Neither it nor `gp` suggests what the arm has tried already.
    """

    type: Literal["tpe"] = Field(description="tree-structured Parzen estimator")
    startup_trials: Count = Field(default=10, description="trials of an arm to end before the model is asked")
    start: Start = "sobol"
    candidates: Count = Field(default=24, description="draws from which the best is suggested")


class Random(Frozen):
    """Independent draws."""

    type: Literal["random"] = Field(description="independent draws")


class Qmc(Frozen):
    """Quasi-random draws, spread more evenly than random ones."""

    type: Literal["qmc"] = Field(description="quasi-random draws, spread evenly")
    sequence: Literal["sobol", "halton"] = Field(default="sobol", description="which low-discrepancy sequence")
    scramble: bool = Field(default=True, description="randomise the sequence by the seed")


class Gp(Frozen):
    """Gaussian process with expected improvement."""

    type: Literal["gp"] = Field(description="Gaussian process with expected improvement; slow beyond some 500 trials")
    startup_trials: Count = Field(default=10, description="trials of an arm to end before the model is asked")
    start: Start = "sobol"
    deterministic: bool = Field(default=False, description="treat results as free of noise")


class CmaEs(Frozen):
    """Covariance matrix adaptation: an evolution strategy for numbers."""

    type: Literal["cmaes"] = Field(description="evolution strategy for numbers (no categories, no when)")
    startup_trials: Count = Field(default=1, description="random trials of an arm before the strategy starts")


class Nsga2(Frozen):
    """Non-dominated sorting genetic algorithm (Deb et al., 2002): generations, the first of them drawn at random.

    A child takes its values from parents on or near the Pareto front. The parents of a generation are known once the
    one before is complete: an arm with fewer trials than a population is searched at random, and so is a parameter
    with `when`.
    """

    type: Literal["nsga2"] = Field(description="genetic algorithm for one objective or several")
    population_size: Annotated[int, Field(ge=2)] = Field(
        default=20, description="complete trials of a generation; pruned ones do not count"
    )
    mutation_prob: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="that a value is drawn anew; left out: 1 / parameters"
    )
    crossover_prob: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.9, description="that a child has two parents, and not one"
    )
    swapping_prob: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="of two parents: that a value is the second one's"
    )


class Grid(Frozen):
    """Every combination once, in an order drawn by the seed."""

    type: Literal["grid"] = Field(description="every combination once; each parameter needs countable values")


class SuccessiveHalving(Frozen):
    """At each rung only the best 1 / reduction_factor of the trials that reached it go on.

    What is good early is often not what is good at the end, and how early that is grows with the length of the runs:
    where the first rung is left out, it lies at two fifths of the longest run of the arm.
    """

    type: Literal["successive_halving"] = Field(description="at each rung the best share of the trials goes on")
    min_epochs: Count | None = Field(
        default=None,
        description="the first rung, left out: two fifths of the arm's most epochs; the next ones lie reduction_factor "
        "times further each",
    )
    reduction_factor: Annotated[int, Field(ge=2)] = Field(default=2, description="one in this many goes on")
    min_early_stopping_rate: Natural = Field(default=0, description="rungs left out at the beginning")
    bootstrap_count: Natural = Field(default=0, description="trials that must reach a rung before any is stopped there")


class Hyperband(Frozen):
    """Successive halving at several trade-offs between many trials and long ones."""

    type: Literal["hyperband"] = Field(description="successive halving from several first rungs")
    min_epochs: Count = Field(default=1, description="the first rung of the boldest bracket")
    max_epochs: Count | None = Field(default=None, description="the last rung; left out: the most epochs of the arm")
    reduction_factor: Annotated[int, Field(ge=2)] = Field(default=3, description="one in this many goes on")
    bootstrap_count: Natural = Field(default=0, description="trials that must reach a rung before any is stopped there")


class Median(Frozen):
    """A trial stops where its best so far is worse than the median of the others at the same epoch."""

    type: Literal["median"] = Field(description="stop below the median of the others at the same epoch")
    startup_trials: Natural = Field(default=5, description="trials to finish before any is stopped")
    warmup_epochs: Natural = Field(default=0, description="epochs of each trial before it may be stopped")
    interval_epochs: Count = Field(default=1, description="epochs between two looks")
    min_trials: Count = Field(default=1, description="results at an epoch needed to judge there")


class Wilcoxon(Frozen):
    """A trial stops where a signed-rank test says that it is below the best trial, epoch by epoch."""

    type: Literal["wilcoxon"] = Field(description="stop when a signed-rank test puts a trial below the best")
    p_threshold: Annotated[float, Field(gt=0, le=1)] = Field(default=0.1, description="the test's p-value to stop at")
    startup_epochs: Natural = Field(default=2, description="epochs of each trial before it may be stopped, at least 2")


class NoPruner(Frozen):
    """Every trial runs to its end."""

    type: Literal["none"] = Field(description="every trial runs to its end")


SAMPLERS: dict[str, type[Frozen]] = {
    "tpe": Tpe, "random": Random, "qmc": Qmc, "gp": Gp, "cmaes": CmaEs, "nsga2": Nsga2, "grid": Grid,
}  # fmt: skip
PRUNERS: dict[str, type[Frozen]] = {
    "successive_halving": SuccessiveHalving, "hyperband": Hyperband, "median": Median, "wilcoxon": Wilcoxon,
    "none": NoPruner,
}  # fmt: skip


def _named(kinds: dict[str, type[Frozen]], union: Any) -> BeforeValidator:
    """Accept the short form, and let only a known type go on to the union."""

    def check(value: Any) -> Any:
        if isinstance(value, Frozen):
            return value
        place: tuple[str, ...] = ()
        if isinstance(value, Mapping):
            place, kind = ("type",), value.get("type")
        else:
            kind = value
            value = {"type": value}
        if not isinstance(kind, str) or kind not in kinds:
            remedy = nearest(kind, kinds) if isinstance(kind, str) else f"use one of {', '.join(kinds)}"
            complaints("type", [(place, complaint(f"one of {', '.join(kinds)}", quote(kind), remedy))])
        return value

    return BeforeValidator(check, json_schema_input_type=union | Literal[tuple(kinds)])


def _tag(value: Any) -> str:
    return f"<{value['type'] if isinstance(value, Mapping) else value.type}>"


_Samplers = Annotated[
    Annotated[Tpe, Tag("<tpe>")]
    | Annotated[Random, Tag("<random>")]
    | Annotated[Qmc, Tag("<qmc>")]
    | Annotated[Gp, Tag("<gp>")]
    | Annotated[CmaEs, Tag("<cmaes>")]
    | Annotated[Nsga2, Tag("<nsga2>")]
    | Annotated[Grid, Tag("<grid>")],
    Discriminator(_tag),
]

_Pruners = Annotated[
    Annotated[SuccessiveHalving, Tag("<successive_halving>")]
    | Annotated[Hyperband, Tag("<hyperband>")]
    | Annotated[Median, Tag("<median>")]
    | Annotated[Wilcoxon, Tag("<wilcoxon>")]
    | Annotated[NoPruner, Tag("<none>")],
    Discriminator(_tag),
]

Sampler = Annotated[_Samplers, _named(SAMPLERS, _Samplers)]

Pruner = Annotated[_Pruners, _named(PRUNERS, _Pruners)]
