"""A sampler with a surrogate model that starts from a Sobol sequence and suggests no configuration twice.

A run follows from its settings and its seed, so a repeated configuration is a wasted trial; and where parameters have
few values, a model likes to repeat the best. All parameters of a trial are therefore drawn together, and drawn again if
the arm has tried them:

    first trials         points of one scrambled Sobol sequence, which covers all regions
    later trials         the model's suggestion
    no new suggestion    uniform draws; then the untried combinations, if they can be counted
    all tried            the first suggestion, again

The model sees trials that failed because of their settings as pruned before the first epoch, worse than all that
measured something; otherwise it would keep suggesting more of the kind.
"""

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from harness.space import Arm, CategoricalParameter, FloatParameter, IntParameter
from harness.space.base import Value
from harness.space.parameters import AnyParameter
from harness.space.strategies import Gp, Tpe
from harness.tuning.failures import BY_SETTINGS
from harness.tuning.study.optuna_internals import fixed_parameters, study_view
from harness.tuning.study.trial_index import TrialIndex, configuration_key, trial_index

MODELS = {"tpe": (10, (TrialState.COMPLETE, TrialState.PRUNED)), "gp": (1, (TrialState.COMPLETE,))}
"""Model → number of its suggestions before uniform draws, and end states of the trials that it learns from.

TPE is random; a Gaussian process finds the same optimum again.
"""

UNIFORM_DRAWS = 10  # before the untried combinations are counted
MAX_COMBINATIONS = 10_000  # of an arm that are still enumerated to find an untried one


@dataclass(eq=False)
class DeduplicatingSampler(BaseSampler):
    """Draws all parameters of a trial of `arm` together."""

    arm: Arm
    settings: Tpe | Gp
    model: BaseSampler
    sequence_seed: int  # of the arm's Sobol sequence, the same for all its trials
    seed: int  # of this trial's uniform draws

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: distribution(parameter) for name, parameter in self.arm.parameters.items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self.arm.parameters.keys() <= fixed_parameters(trial).keys():
            return {}  # nothing is left to draw
        index = trial_index(study)
        draws = self._draws(study, index, trial, search_space)
        first = next(draws)
        new = (draw for draw in itertools.chain([first], draws) if not index.contains(draw, trial.number))
        return next(new, first)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.model.sample_independent(study, trial, param_name, param_distribution)

    def _draws(
        self, study: optuna.Study, index: TrialIndex, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Iterator[dict[str, Value]]:
        model_draws, learns_from = MODELS[self.settings.type]
        learnable = sum(index.ended[state] for state in learns_from)
        if learnable >= self.settings.startup_trials:
            trials = index.training_subset()
            view = study_view(study, trials, as_pruned=filter(_failed_by_settings, trials))
            if self.arm.is_conditional or not learnable:
                joint = self.model.infer_relative_search_space(view, trial)
            else:  # the same without a loop over all trials
                joint = {name: dist for name, dist in sorted(search_space.items()) if not dist.single()}
            for _ in range(model_draws):
                together = self.model.sample_relative(view, trial, joint)

                def suggest(name: str, parameter: AnyParameter, together: dict[str, Any] = together) -> Any:
                    if parameter.size == 1:
                        return parameter.quantile(0.0)
                    if name in together:
                        return together[name]
                    return self.model.sample_independent(view, trial, name, search_space[name])

                yield self.arm.sample(suggest)
        elif self.settings.start == "sobol":
            yield self._sobol_point(trial.number)
        rng = random.Random(self.seed)
        for _ in range(UNIFORM_DRAWS):
            yield self.arm.sample(lambda name, parameter: parameter.quantile(rng.random()))
        shuffled = combinations(self.arm, MAX_COMBINATIONS)
        rng.shuffle(shuffled)
        yield from shuffled

    def _sobol_point(self, index: int) -> dict[str, Value]:
        if not self.arm.parameters:
            return {}
        sobol = qmc.Sobol(len(self.arm.parameters), scramble=True, seed=self.sequence_seed)
        if index > 0:  # scipy refuses 0
            sobol.fast_forward(index)
        point = dict(zip(self.arm.parameters, map(float, sobol.random(1)[0]), strict=True))
        return self.arm.sample(lambda name, parameter: parameter.quantile(point[name]))


def _failed_by_settings(trial: FrozenTrial) -> bool:
    if trial.state != TrialState.FAIL:
        return False
    return str(trial.user_attrs.get("end", {}).get("reason", "")).startswith(BY_SETTINGS)


def distribution(parameter: AnyParameter) -> BaseDistribution:
    """Optuna's distribution of a parameter."""
    match parameter:
        case FloatParameter():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case IntParameter():
            return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case CategoricalParameter():
            return CategoricalDistribution(list(parameter.choices))


def combinations(arm: Arm, limit: float = math.inf) -> list[dict[str, Value]]:
    """Every combination of the arm's parameters once; empty where they are infinite or more than `limit`."""
    if not 0 < math.prod(parameter.size or 0 for parameter in arm.parameters.values()) <= limit:
        return []
    configurations: dict[str, dict[str, Value]] = {}
    for values in itertools.product(*(parameter.grid() for parameter in arm.parameters.values())):
        combination = dict(zip(arm.parameters, values, strict=True))
        active = arm.sample(lambda name, parameter: combination[name])  # noqa: B023  (called at once)
        configurations.setdefault(configuration_key(active), active)
    return list(configurations.values())
