"""When an arm stops before its share of the trials, and by how much a trial violates a constraint."""

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
from harness.training.config.registry import METRICS
from harness.training.config.run_config import RunConfig
from harness.tuning.study.optuna_adapters import grid
from harness.tuning.study.pareto import Point, weakly_dominates

MODEL_TRIALS = 20  # complete trials of an arm that the Gaussian process of `expected_improvement_below` needs

END_INDEX = "index"
"""Key in a trial's user attribute `end`: how many trials of its arm had ended before. Clocks may be set back."""


def violation(constraint: Constraint, config: RunConfig, metrics: Mapping[str, float]) -> float:
    """By how much a trial violates `constraint`, above 0; 1 where a metric of the constraint was never measured.

    A constraint on a parameter that the trial's method does not have is satisfied.
    """
    values = {**metrics, **config.model_dump()}
    if missing := constraint.names - values.keys():
        return 1.0 if missing <= set(METRICS) else 0.0
    return min(constraint.violation(values), sys.float_info.max)


class ArmStopping:
    """Whether an arm stops: its grid or its epochs are used up, or too little gain is expected.

    An epoch budget is shared evenly among the arms, as trials are, so that arms stay comparable.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._bounds: dict[tuple[str, int], float] = {}

    def __call__(self, arm: Arm, trials: Sequence[FrozenTrial]) -> bool:
        search = self.space.search
        if isinstance(search.sampler, Grid) and len(trials) >= len(grid(arm, search.seed)):
            return True
        if search.epoch_budget is not None:
            epochs = search.seeds_per_trial * sum(trial.last_step or 0 for trial in trials)
            if epochs >= search.epoch_budget / len(self.space.arms):
                return True
        rule = search.stop_when
        if rule is None:
            return False
        if rule.no_gain_trials is not None and _trials_without_gain(self.space, trials) >= rule.no_gain_trials:
            return True
        limit = rule.expected_improvement_below
        return limit is not None and self._expected_improvement(arm, trials) < limit

    def _expected_improvement(self, arm: Arm, trials: Sequence[FrozenTrial]) -> float:
        """Upper bound (90 % confidence) on the remaining gain; infinite for too few trials.

        From a Gaussian process on the better half of the complete trials (Makarova et al., Automatic Termination for
        Hyperparameter Optimization, 2022). Cached, since it costs up to a second.
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


def _trials_without_gain(space: Space, trials: Sequence[FrozenTrial]) -> int:
    """Ended trials since the last one that joined the Pareto front; with one objective, since the last new best."""
    front: list[Point] = []
    count = 0
    ended = [trial for trial in trials if trial.state.is_finished()]
    for trial in sorted(ended, key=lambda trial: int(trial.user_attrs["end"][END_INDEX])):
        count += 1
        if trial.state != TrialState.COMPLETE:
            continue
        point = space.utilities(trial.values)
        if not any(weakly_dominates(member, point) for member in front):
            front = [*(member for member in front if not weakly_dominates(point, member)), point]
            count = 0
    return count if front else 0
