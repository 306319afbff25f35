"""Index of a study's trials, updated as they end, so that an ask costs the same however many trials there are."""

import heapq
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

LATEST, BEST = 500, 25
"""Size of the training subset: the latest trials, and the best of those before them, as many as TPE's good group."""


class TrialIndex:
    """Configurations, end states and best trials of one study, as of the last update."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self.trials: list[FrozenTrial] = []
        self.ended: Counter[TrialState] = Counter()  # number of trials by end state
        self._sign = 1 if directions[0] == StudyDirection.MAXIMIZE else -1
        self._several_objectives = len(directions) > 1
        self._size = 0  # at the last update: Optuna's in-memory storage returns a list that grows
        self._unfinished: list[int] = []
        self._keys: set[str] = set()
        self._best: list[tuple[float, int]] = []  # heap of (value, index) among those before the latest

    def update(self, trials: list[FrozenTrial]) -> None:
        """Add what is new in `trials`, which continue those of the last update."""
        pending = [*self._unfinished, *range(self._size, len(trials))]
        older_before, older = max(0, self._size - LATEST), max(0, len(trials) - LATEST)
        self.trials, self._size = trials, len(trials)
        ended = [index for index in pending if trials[index].state.is_finished()]
        self._unfinished = [index for index in pending if not trials[index].state.is_finished()]
        for index in ended:
            self.ended[trials[index].state] += 1
            self._keys.add(configuration_key(trials[index].params))
        for index in {*range(older_before, older), *(index for index in ended if index < older_before)}:
            if trials[index].state == TrialState.COMPLETE:
                push = heapq.heappush if len(self._best) < BEST else heapq.heappushpop
                push(self._best, (self._sign * trials[index].values[0], index))

    def contains(self, params: Mapping[str, Any], except_number: int) -> bool:
        """Whether a trial has these parameters, other than the trial of that number."""
        key = configuration_key(params)
        unfinished = (self.trials[index] for index in self._unfinished)
        return key in self._keys or any(
            trial.number != except_number and configuration_key(trial.params) == key for trial in unfinished
        )

    def training_subset(self) -> list[FrozenTrial]:
        """Trials shown to the surrogate model: the latest and the best before them.

        With several objectives or constraints, where no trial is simply the best, it is all of them.
        """
        latest = self.trials[-LATEST:]
        if len(latest) == len(self.trials) or self._several_objectives or any(trial.constraints for trial in latest):
            return self.trials
        return [*(self.trials[index] for _, index in sorted(self._best, reverse=True)), *latest]


_INDEXES: "WeakKeyDictionary[optuna.Study, TrialIndex]" = WeakKeyDictionary()


def trial_index(study: optuna.Study) -> TrialIndex:
    """The index of `study`, up to date."""
    index = _INDEXES.get(study)
    if index is None:
        index = _INDEXES[study] = TrialIndex(study.directions)
    index.update(study.get_trials(deepcopy=False))
    return index


def configuration_key(params: Mapping[str, Any]) -> str:
    """Equal for equal parameters; unlike in a dict, 1 differs from True."""
    return json.dumps(params, sort_keys=True)
