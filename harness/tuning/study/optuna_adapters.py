"""A space's sampler and pruner as Optuna's objects.

Each trial gets a new sampler, which reads all it needs from the study. Its seed is derived from the sweep's seed, the
arm, the trial's index in the arm and, for parameters that are drawn independently, the parameter's name.
"""

import random
import warnings
from typing import Any

import optuna
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial

from harness.common.seeds import derive_seed
from harness.space import Arm, Space, strategies
from harness.space.parameters import AnyParameter
from harness.tuning.study.deduplicating_sampler import DeduplicatingSampler, combinations, distribution
from harness.tuning.study.optuna_internals import initialize_brackets, suggest

MAX_CHILDREN = 20
"""Children that NSGA-II breeds until one is new."""

FIRST_RUNG = 0.4
"""Default first rung of successive halving, in parts of the arm's longest run (benchmarks/search_efficiency.md)."""


def ask(study: optuna.Study, space: Space, arm: Arm, index: int) -> optuna.Trial:
    """Create trial number `index` (from 0) of `arm`, with a value for every parameter."""
    points = grid(arm, space.search.seed) if isinstance(space.search.sampler, strategies.Grid) else arm.points
    study.sampler = make_sampler(space, arm, str(index))
    if index < len(points):
        study.enqueue_trial(dict(points[index]), skip_if_exists=True)
    trial = study.ask()
    suggest_missing(study, space, arm, trial, index)
    return trial


def suggest_missing(study: optuna.Study, space: Space, arm: Arm, trial: optuna.Trial, index: int) -> None:
    """Suggest the parameters that `trial` lacks, such as those that a killed driver had not written yet.

    Parameters that the sampler draws jointly come from one random stream. Each other parameter has a stream of its
    own, so that its value does not depend on which ones a killed driver had drawn.
    """
    study.sampler = make_sampler(space, arm, str(index))
    joint = trial.relative_params

    def suggest_one(name: str, parameter: AnyParameter) -> Any:
        if name not in joint:
            study.sampler = make_sampler(space, arm, f"{index}:{name}")
        return suggest(trial, name, distribution(parameter))

    arm.sample(suggest_one)


def grid(arm: Arm, seed: int) -> list[dict[str, Any]]:
    """Every combination of the arm's parameters once, in random order."""
    shuffled = combinations(arm)
    random.Random(_derive(seed, f"grid:{arm.name}")).shuffle(shuffled)
    return shuffled


def make_sampler(space: Space, arm: Arm, purpose: str) -> samplers.BaseSampler:
    """The sampler of `arm`, seeded for `purpose`; low-discrepancy sequences have one seed for the whole arm."""
    seed = _derive(space.search.seed, f"{arm.name}:{purpose}")
    sequence_seed = _derive(space.search.seed, arm.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna's version is bounded, and tests use each of them
        match space.search.sampler:
            case strategies.Tpe() as tpe:
                model: samplers.BaseSampler = samplers.TPESampler(
                    n_startup_trials=0, n_ei_candidates=tpe.candidates, group=arm.is_conditional, seed=seed
                )
                return DeduplicatingSampler(arm, tpe, model, sequence_seed, seed)
            case strategies.Gp() as gp:
                model = samplers.GPSampler(n_startup_trials=0, deterministic_objective=gp.deterministic, seed=seed)
                return DeduplicatingSampler(arm, gp, model, sequence_seed, seed)
            case strategies.Random() | strategies.Grid():
                return samplers.RandomSampler(seed=seed)
            case strategies.Qmc() as qmc:
                return samplers.QMCSampler(
                    qmc_type=qmc.sequence, scramble=qmc.scramble, seed=sequence_seed, warn_independent_sampling=False
                )
            case strategies.CmaEs() as cmaes:
                return samplers.CmaEsSampler(n_startup_trials=cmaes.startup_trials, seed=seed)
            case strategies.Nsga2() as nsga2:
                return _Nsga2(**nsga2.model_dump(exclude={"type"}), seed=seed)  # its fields have Optuna's names


class _Nsga2(samplers.NSGAIISampler):
    """NSGA-II that does not depend on restarts and breeds again where a child was tried before.

    Optuna selects parents in another order than it reads them from the journal later, so that the first child of a
    generation would change if the driver were killed just before it. The journal names this class in its attributes.
    """

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others = [other.params for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        for _ in range(MAX_CHILDREN):
            child = super().sample_relative(study, trial, search_space)
            # Parameters that a child lacks are mutations, drawn later: whether it is new is not known yet.
            if len(child) < len(search_space) or not any(child.items() <= other.items() for other in others):
                break
        return child

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)


def make_pruner(space: Space, arm: Arm) -> pruners.BasePruner:
    """The pruner of `arm`; its resource is the epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # as for the samplers
        match space.search.pruner:
            case strategies.SuccessiveHalving() as halving:
                return pruners.SuccessiveHalvingPruner(
                    min_resource=halving.min_epochs or max(1, round(FIRST_RUNG * arm.max_epochs)),
                    reduction_factor=halving.reduction_factor,
                    min_early_stopping_rate=halving.min_early_stopping_rate,
                    bootstrap_count=halving.bootstrap_count,
                )
            case strategies.Hyperband() as hyperband:
                pruner = pruners.HyperbandPruner(
                    min_resource=hyperband.min_epochs,
                    max_resource=max(hyperband.min_epochs, hyperband.max_epochs or arm.max_epochs),
                    reduction_factor=hyperband.reduction_factor,
                    bootstrap_count=hyperband.bootstrap_count,
                )
                initialize_brackets(pruner)
                return pruner
            case strategies.Median() as median:
                return pruners.MedianPruner(
                    n_startup_trials=median.startup_trials,
                    n_warmup_steps=median.warmup_epochs,
                    interval_steps=median.interval_epochs,
                    n_min_trials=median.min_trials,
                )
            case strategies.Wilcoxon() as wilcoxon:
                return _QuietWilcoxon(p_threshold=wilcoxon.p_threshold, n_startup_steps=wilcoxon.startup_epochs)
            case strategies.NoPruner():
                return pruners.NopPruner()


class _QuietWilcoxon(pruners.WilcoxonPruner):
    """Wilcoxon pruner without the warning at each epoch that the best trial lacks: lengths of runs may differ."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="WilcoxonPruner finds steps")
            return super().prune(study, trial)


def _derive(seed: int, purpose: str) -> int:
    return derive_seed(seed, f"sampler:{purpose}") % 2**32
