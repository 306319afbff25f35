"""Whole configurations for a sampler with a model: an even start, and nothing that was tried already.

A run follows from its settings and its seed, so a configuration that comes a second time is a trial wasted; and where
parameters have few values each, the best few are what a model likes to suggest again. So all parameters of a trial are
drawn together, and drawn anew where the arm has tried them:

    the first trials     a point each of one scrambled Sobol sequence, which leaves no region out as random draws do
    after these          the model's suggestion
    nothing new found    an even draw; then one of what is left, where that can be counted
    nothing left         what was suggested first, again

Trials that failed by their settings are no results, and have no value; yet a model that is not told of them goes on
suggesting more of the kind. It sees them as what was stopped before its first epoch: worse than all that measured
something.
"""

import copy
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from harness.space import Arm, CategoricalParameter, FloatParameter, IntParameter
from harness.space.parameters import AnyParameter, Value
from harness.space.strategies import Gp, Tpe
from harness.tuning.failures import BY_SETTINGS
from harness.tuning.study.trial_index import TrialIndex, key, known

TRIES = {"tpe": 10, "gp": 1}
"""Suggestions of a model before an even draw: TPE draws its own anew, a Gaussian process finds the same optimum."""

EVEN_DRAWS = 10
"""Before what is left is counted."""

MOST_COUNTED = 10_000
"""Combinations of an arm that are still listed to find one that is left."""


class DeduplicatingSampler(BaseSampler):
    """Draws all parameters of a trial of `arm` together.

    Args:
        arm: what is searched.
        kind: how the first trials are drawn, and how many.
        model: what suggests after these.
        learns_from: how trials ended that count as first ones: those that the model can learn from.
        sequence: seed of the arm's Sobol sequence, the same for all its trials.
        seed: of this trial's even draws.
    """

    def __init__(
        self, arm: Arm, kind: Tpe | Gp, model: BaseSampler, learns_from: Sequence[TrialState], sequence: int, seed: int
    ) -> None:
        self.arm = arm
        self.kind = kind
        self.model = model
        self.learns_from = learns_from
        self.sequence = sequence
        self.seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {name: distribution(parameter) for name, parameter in self.arm.parameters.items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self.arm.parameters.keys() <= trial.system_attrs.get("fixed_params", {}).keys():
            return {}  # a point, or a trial that is tried again: nothing is left to draw
        before = known(study)
        draws = self._draws(study, before, trial, search_space)
        first = next(draws)
        return next((draw for draw in itertools.chain([first], draws) if not before.tried(draw, trial.number)), first)

    def _learned(self, before: TrialIndex) -> int:
        """Trials that the model can learn from."""
        return sum(before.ended[state] for state in self.learns_from)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.model.sample_independent(study, trial, param_name, param_distribution)

    def _draws(
        self, study: optuna.Study, before: TrialIndex, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Iterator[dict[str, Value]]:
        if self._learned(before) >= self.kind.startup_trials:
            seen = cast(optuna.Study, _Seen(study, before.few()))
            modelled = self._modelled(before, seen, trial, search_space)
            for _ in range(TRIES[self.kind.type]):
                yield self._suggested(seen, trial, search_space, modelled)
        elif self.kind.start == "sobol":
            yield self._point(trial.number)
        rng = random.Random(self.seed)
        for _ in range(EVEN_DRAWS):
            yield self.arm.draw(lambda name, parameter: parameter.at(rng.random()))
        left = combinations(self.arm, MOST_COUNTED)
        rng.shuffle(left)
        yield from left

    def _modelled(
        self, before: TrialIndex, seen: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, BaseDistribution]:
        """The parameters that the model draws together: those that all trials it learns from have."""
        if self.arm.conditional or not self._learned(before):
            return self.model.infer_relative_search_space(seen, trial)
        return {name: found for name, found in sorted(search_space.items()) if not found.single()}

    def _suggested(
        self,
        seen: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
        modelled: dict[str, BaseDistribution],
    ) -> dict[str, Value]:
        together = self.model.sample_relative(seen, trial, modelled)

        def pick(name: str, parameter: AnyParameter) -> Value:
            if parameter.size == 1:
                return parameter.at(0.0)
            value: Value
            if name in together:
                value = together[name]
            else:
                value = self.model.sample_independent(seen, trial, name, search_space[name])
            return value

        return self.arm.draw(pick)

    def _point(self, place: int) -> dict[str, Value]:
        """Number `place`, from 0, of the arm's sequence."""
        if not self.arm.parameters:
            return {}
        sobol = qmc.Sobol(len(self.arm.parameters), scramble=True, seed=self.sequence)
        if place > 0:  # scipy cannot go forward by 0
            sobol.fast_forward(place)
        shares = dict(zip(self.arm.parameters, map(float, sobol.random(1)[0]), strict=True))
        return self.arm.draw(lambda name, parameter: parameter.at(shares[name]))

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.model.before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self.model.after_trial(study, trial, state, values)


class _Seen:
    """What a model sees of a study, for one suggestion: what failed by its settings was pruned, with nothing measured;
    and of many trials the best and the latest, so that the thousandth suggestion costs no more than the five-hundredth.
    """

    def __init__(self, study: optuna.Study, few: list[FrozenTrial]) -> None:
        self._study = study
        self._few = few

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Sequence[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._few if states is None or trial.state in states]
        if states is not None and TrialState.PRUNED in states:
            failed = (trial for trial in self._few if trial.state == TrialState.FAIL)
            trials += [_as_pruned(trial) for trial in failed if _reason(trial).startswith(BY_SETTINGS)]
        return copy.deepcopy(trials) if deepcopy else trials


def _reason(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get("end", {}).get("reason", ""))


def _as_pruned(trial: FrozenTrial) -> FrozenTrial:
    pruned = copy.copy(trial)
    pruned.state, pruned.values, pruned.intermediate_values = TrialState.PRUNED, None, {}
    return pruned


def distribution(parameter: AnyParameter) -> BaseDistribution:
    """Optuna's word for what a parameter may be."""
    match parameter:
        case FloatParameter():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case IntParameter():
            return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
        case CategoricalParameter():
            return CategoricalDistribution(list(parameter.choices))


def combinations(arm: Arm, most: int | None = None) -> list[dict[str, Value]]:
    """Every combination of the arm's parameters once; none where they cannot be counted, or are more than `most`."""
    many = 1
    for parameter in arm.parameters.values():
        many *= parameter.size or 0
    if many == 0 or (most is not None and many > most):
        return []
    every: dict[str, dict[str, Value]] = {}
    for values in itertools.product(*(parameter.grid() for parameter in arm.parameters.values())):
        drawn = _existing(arm, dict(zip(arm.parameters, values, strict=True)))
        every.setdefault(key(drawn), drawn)
    return list(every.values())


def _existing(arm: Arm, values: Mapping[str, Value]) -> dict[str, Value]:
    """Those of `values` whose parameters exist beside the others."""
    return arm.draw(lambda name, parameter: values[name])
