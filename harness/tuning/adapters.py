"""A space in Optuna's words: its parameters, its sampler, its pruner.

Bounds are inclusive on both sides, here as there. A sampler is made anew for each suggestion, its randomness derived
from the sweep's seed, the arm and the trial's place in the arm: what it knows it reads from the study.
"""

from typing import Any

import optuna
from optuna import pruners, samplers

from harness.space import Arm, CategoricalParameter, FloatParameter, IntParameter, Space
from harness.space.parameters import AnyParameter
from harness.space.strategies import (
    CmaEs,
    Gp,
    Grid,
    Hyperband,
    Median,
    NoPruner,
    Qmc,
    Random,
    SuccessiveHalving,
    Tpe,
)
from harness.training.seeds import derive


def suggest(trial: optuna.Trial, arm: Arm) -> None:
    """Give `trial` a value for each parameter of `arm` that exists beside the values of the others."""
    arm.draw(lambda name, parameter: _value(trial, name, parameter))


def _value(trial: optuna.Trial, name: str, parameter: AnyParameter) -> Any:
    match parameter:
        case FloatParameter():
            return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case IntParameter():
            return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case CategoricalParameter():
            return trial.suggest_categorical(name, list(parameter.choices))


def sampler(space: Space, arm: Arm, place: int) -> samplers.BaseSampler:
    """The sampler for trial number `place` (from 0) of `arm`."""
    once = _seed(space.search.seed, arm.name)
    here = _seed(space.search.seed, f"{arm.name}:{place}")
    match space.search.sampler:
        case Tpe() as tpe:
            return samplers.TPESampler(
                n_startup_trials=tpe.startup_trials,
                n_ei_candidates=tpe.candidates,
                group=any(parameter.when for parameter in arm.parameters.values()),
                seed=here,
            )
        case Random():
            return samplers.RandomSampler(seed=here)
        case Qmc() as qmc:
            return samplers.QMCSampler(qmc_type=qmc.sequence, scramble=qmc.scramble, seed=once)
        case Gp() as gp:
            return samplers.GPSampler(
                n_startup_trials=gp.startup_trials, deterministic_objective=gp.deterministic, seed=here
            )
        case CmaEs() as cmaes:
            return samplers.CmaEsSampler(n_startup_trials=cmaes.startup_trials, sigma0=cmaes.initial_sigma, seed=here)
        case Grid():
            return samplers.GridSampler({name: _grid(parameter) for name, parameter in arm.parameters.items()}, once)


def pruner(space: Space) -> pruners.BasePruner:
    """The pruner of every arm; its resource is the epoch."""
    match space.search.pruner:
        case SuccessiveHalving() as halving:
            return pruners.SuccessiveHalvingPruner(
                min_resource=halving.min_epochs,
                reduction_factor=halving.reduction_factor,
                min_early_stopping_rate=halving.min_early_stopping_rate,
                bootstrap_count=halving.bootstrap_count,
            )
        case Hyperband() as hyperband:
            return pruners.HyperbandPruner(
                min_resource=hyperband.min_epochs,
                max_resource="auto" if hyperband.max_epochs is None else hyperband.max_epochs,
                reduction_factor=hyperband.reduction_factor,
                bootstrap_count=hyperband.bootstrap_count,
            )
        case Median() as median:
            return pruners.MedianPruner(
                n_startup_trials=median.startup_trials,
                n_warmup_steps=median.warmup_epochs,
                interval_steps=median.interval_epochs,
                n_min_trials=median.min_trials,
            )
        case NoPruner():
            return pruners.NopPruner()


def _grid(parameter: AnyParameter) -> list[Any]:
    assert not isinstance(parameter, FloatParameter) or parameter.size is not None, (
        "the space checks that grids are countable"
    )
    return list(parameter.grid())


def _seed(seed: int, purpose: str) -> int:
    return derive(seed, f"sampler:{purpose}") % 2**32
