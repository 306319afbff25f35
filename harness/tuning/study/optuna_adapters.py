"""A space in Optuna's words: its parameters, its sampler, its pruner.

Bounds are inclusive on both sides, here as there. A sampler is made anew for each trial, its randomness derived from
the sweep's seed, the arm and the trial's place in it, and for each value that is drawn apart, from the parameter too:
what it knows it reads from the study.
"""

import random
import warnings
from typing import Any

import optuna
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from harness.common.seeds import derive
from harness.space import Arm, CategoricalParameter, FloatParameter, IntParameter, Space
from harness.space.parameters import AnyParameter
from harness.space.strategies import (
    CmaEs,
    Gp,
    Grid,
    Hyperband,
    Median,
    NoPruner,
    Nsga2,
    Qmc,
    Random,
    SuccessiveHalving,
    Tpe,
    Wilcoxon,
)
from harness.tuning.study.deduplicating_sampler import DeduplicatingSampler, combinations

BREEDS = 20
"""Children bred before one that was tried already is tried again."""

FIRST_RUNG = 0.4
"""Of an arm's most epochs, where a space does not say; measured in benchmarks/search_efficiency.md."""


def ask(study: optuna.Study, space: Space, arm: Arm, place: int) -> optuna.Trial:
    """Trial number `place` (from 0) of `arm`, with all its parameters."""
    first = grid(arm, space.search.seed) if isinstance(space.search.sampler, Grid) else arm.points
    study.sampler = sampler(space, arm, str(place))
    if place < len(first):
        study.enqueue_trial(dict(first[place]), skip_if_exists=True)
    return complete(study, space, arm, study.ask(), place)


def complete(study: optuna.Study, space: Space, arm: Arm, trial: optuna.Trial, place: int) -> optuna.Trial:
    """Give `trial` a value for each parameter that it has none of yet, after a kill in the midst of it say."""

    # What is drawn together comes from one stream, whichever of it a former driver had written down; each of the rest
    # from a stream of its own: what was drawn before a kill does not move the others.
    study.sampler = sampler(space, arm, str(place))
    together = trial.relative_params

    def pick(name: str, parameter: AnyParameter) -> Any:
        if name not in together:
            study.sampler = sampler(space, arm, f"{place}:{name}")
        return _value(trial, name, parameter)

    arm.draw(pick)
    return trial


def grid(arm: Arm, seed: int) -> list[dict[str, Any]]:
    """Every combination of the arm's parameters once, in an order drawn by the seed."""
    every = combinations(arm)
    random.Random(_seed(seed, f"grid:{arm.name}")).shuffle(every)
    return every


def _value(trial: optuna.Trial, name: str, parameter: AnyParameter) -> Any:
    match parameter:
        case FloatParameter():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case IntParameter():
            return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case CategoricalParameter():
            return trial.suggest_categorical(name, list(parameter.choices))


def sampler(space: Space, arm: Arm, purpose: str) -> samplers.BaseSampler:
    """The sampler of `arm`, its randomness derived from `purpose`, but for sequences that are one for the whole arm."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ExperimentalWarning
        )  # of `group`: Optuna's version is bounded, and tests use it
        return _sampler(space, arm, _seed(space.search.seed, f"{arm.name}:{purpose}"))


def _sampler(space: Space, arm: Arm, seed: int) -> samplers.BaseSampler:
    once = _seed(space.search.seed, arm.name)
    match space.search.sampler:
        case Tpe() as tpe:
            model = samplers.TPESampler(
                n_startup_trials=0, n_ei_candidates=tpe.candidates, group=arm.conditional, seed=seed
            )
            return DeduplicatingSampler(arm, tpe, model, (TrialState.COMPLETE, TrialState.PRUNED), once, seed)
        case Random() | Grid():
            return samplers.RandomSampler(seed=seed)
        case Qmc() as qmc:
            return samplers.QMCSampler(
                qmc_type=qmc.sequence, scramble=qmc.scramble, seed=once, warn_independent_sampling=False
            )
        case Gp() as gp:
            process = samplers.GPSampler(n_startup_trials=0, deterministic_objective=gp.deterministic, seed=seed)
            return DeduplicatingSampler(arm, gp, process, (TrialState.COMPLETE,), once, seed)
        case CmaEs() as cmaes:
            return samplers.CmaEsSampler(n_startup_trials=cmaes.startup_trials, seed=seed)
        case Nsga2() as nsga2:
            return _Generations(
                population_size=nsga2.population_size,
                mutation_prob=nsga2.mutation_prob,
                crossover_prob=nsga2.crossover_prob,
                swapping_prob=nsga2.swapping_prob,
                seed=seed,
            )


class _Generations(samplers.NSGAIISampler):
    """Optuna's, but for two things. The class's name is in the journals, beside what is known of each generation.

    Parents come in the order of their trials also where they are chosen, as they do when looked up later: else the
    first child of a generation would be another one after a kill just before it. And a child that was tried already is
    bred anew: a run follows from its settings, so a repeat is a trial lost.
    """

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others = [other.params for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        for _ in range(BREEDS):
            child = super().sample_relative(study, trial, search_space)
            # What a child lacks is a mutation: drawn later, it may still come to what was tried.
            if len(child) < len(search_space) or not any(child.items() <= other.items() for other in others):
                break
        return child

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)


def pruner(space: Space, arm: Arm) -> pruners.BasePruner:
    """The pruner of `arm`; its resource is the epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of `wilcoxon`, as above
        return _pruner(space, arm)


def _pruner(space: Space, arm: Arm) -> pruners.BasePruner:
    match space.search.pruner:
        case SuccessiveHalving() as halving:
            return pruners.SuccessiveHalvingPruner(
                min_resource=halving.min_epochs or max(1, round(FIRST_RUNG * arm.most_epochs)),
                reduction_factor=halving.reduction_factor,
                min_early_stopping_rate=halving.min_early_stopping_rate,
                bootstrap_count=halving.bootstrap_count,
            )
        case Hyperband() as hyperband:
            brackets = pruners.HyperbandPruner(
                min_resource=hyperband.min_epochs,
                max_resource=max(hyperband.min_epochs, hyperband.max_epochs or arm.most_epochs),
                reduction_factor=hyperband.reduction_factor,
                bootstrap_count=hyperband.bootstrap_count,
            )
            # Now, and not at its first look: which trials a sampler sees would else hang on when the driver started.
            brackets._try_initialization(None)  # type: ignore[arg-type]
            return brackets
        case Median() as median:
            return pruners.MedianPruner(
                n_startup_trials=median.startup_trials,
                n_warmup_steps=median.warmup_epochs,
                interval_steps=median.interval_epochs,
                n_min_trials=median.min_trials,
            )
        case Wilcoxon() as wilcoxon:
            return _QuietWilcoxon(p_threshold=wilcoxon.p_threshold, n_startup_steps=wilcoxon.startup_epochs)
        case NoPruner():
            return pruners.NopPruner()


class _QuietWilcoxon(pruners.WilcoxonPruner):
    """Optuna's, which warns at every epoch that the best trial lacks; where epochs are searched, that is no fault."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="WilcoxonPruner finds steps")
            return super().prune(study, trial)


def _seed(seed: int, purpose: str) -> int:
    return derive(seed, f"sampler:{purpose}") % 2**32
