"""What a space asks of its trials beyond a good objective: constraints to keep, and when an arm had enough."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence

from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.terminator import RegretBoundEvaluator
from optuna.trial import FrozenTrial, TrialState

from harness.space import Arm, Constraint, Space
from harness.space.strategies import Grid
from harness.training.config.run_config import RunConfig
from harness.tuning.study.optuna_adapters import grid
from harness.tuning.study.pareto import Point, weakly_dominates

MODEL_TRIALS = 20
"""Complete trials of an arm before its expected improvement is looked at: the model needs some to stand on."""


def violation(constraint: Constraint, config: RunConfig, metrics: Mapping[str, float]) -> float:
    """How far a trial breaks `constraint`, above 0; 1 where it never measured what the constraint is about."""
    values = {**metrics, **config.model_dump()}
    return min(constraint.violation(values), sys.float_info.max) if constraint.names <= values.keys() else 1.0


PLACE = "place"
"""In how a trial ended: how many of its arm had ended before. The clock, which may be set back, does not say so."""


class ArmStopping:
    """Whether an arm had enough before its share of the trials: its epochs are spent, or no more gain is to be had.

    The epochs of the budget are shared out evenly, as the trials are: arms stay comparable.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._bounds: dict[tuple[str, int], float] = {}

    def __call__(self, arm: Arm, trials: Sequence[FrozenTrial]) -> bool:
        search = self.space.search
        if isinstance(search.sampler, Grid) and len(trials) >= len(grid(arm, search.seed)):
            return True
        if search.epoch_budget is not None:
            spent = search.seeds_per_trial * sum(trial.last_step or 0 for trial in trials)
            if spent >= search.epoch_budget / len(self.space.arms):
                return True
        rule = search.stop_when
        if rule is None:
            return False
        if rule.no_gain_trials is not None and _without_gain(self.space, trials) >= rule.no_gain_trials:
            return True
        below = rule.expected_improvement_below
        return below is not None and self._improvement(arm, trials) < below

    def _improvement(self, arm: Arm, trials: Sequence[FrozenTrial]) -> float:
        """An upper bound, at 90 % confidence, on what is still to be gained, in the objective's unit.

        From a Gaussian process on the better half of the complete trials (Makarova et al., Automatic Termination for
        Hyperparameter Optimization, 2022); infinite while there are too few. Costs up to a second, so it is kept.
        """
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        if len(complete) < MODEL_TRIALS or not arm.parameters:
            return math.inf
        key = (arm.name, len(complete))
        if key not in self._bounds:
            direction = getattr(StudyDirection, self.space.objective.direction.upper())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                evaluator = RegretBoundEvaluator(min_n_trials=MODEL_TRIALS, seed=self.space.search.seed)
                self._bounds[key] = float(evaluator.evaluate(complete, direction))
        return self._bounds[key]


def _without_gain(space: Space, trials: Sequence[FrozenTrial]) -> int:
    """Ended trials since the last that no earlier one was as good as; with one objective, since the last new best."""
    front: list[Point] = []
    since = 0
    for trial in sorted(trials, key=_order):
        if not trial.state.is_finished():
            continue
        since += 1
        if trial.state != TrialState.COMPLETE:
            continue
        point = space.gains(trial.values)
        if not any(weakly_dominates(member, point) for member in front):
            front = [*(member for member in front if not weakly_dominates(point, member)), point]
            since = 0
    return since if front else 0


def _order(trial: FrozenTrial) -> tuple[int, float]:
    """By place; journals of old say when, alone."""
    moment = trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0
    return trial.user_attrs.get("end", {}).get(PLACE, -1), moment
