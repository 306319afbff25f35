"""What is known of a study's trials, kept up as they end: what a further trial costs does not grow with those before.

An ended trial is looked at once, when it is new. What is asked for with each trial, whether a configuration was tried,
how many ended, which are the best, is then there without a look through all of them.
"""

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
"""Of more trials with one objective and no constraints, those that a model learns from: the latest, and of the rest the
best, as many as TPE ever counts among its good ones."""


class TrialIndex:
    """The trials of one study.

    Attributes:
        trials: all of them, in order, as of the last look.
        ended: how many ended in each state.
    """

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self.trials: list[FrozenTrial] = []
        self.ended: Counter[TrialState] = Counter()
        self._sign = 1 if directions[0] == StudyDirection.MAXIMIZE else -1
        self._several = len(directions) > 1
        self._looked = 0  # how many there were at the last look: some studies give away a list that grows
        self._open: list[int] = []  # places of trials that had not ended at the last look
        self._keys: set[str] = set()
        self._best: list[tuple[float, int]] = []  # a heap of those that are not among the latest

    def look(self, trials: list[FrozenTrial]) -> None:
        """Take up what is new of the study's trials, which are those of the last look and further ones."""
        fresh = range(self._looked, len(trials))
        old = max(0, self._looked - LATEST)
        self.trials, self._looked = trials, len(trials)
        ended = [place for place in (*self._open, *fresh) if trials[place].state.is_finished()]
        self._open = [place for place in (*self._open, *fresh) if not trials[place].state.is_finished()]
        for place in ended:
            self.ended[trials[place].state] += 1
            self._keys.add(key(trials[place].params))
        newly_old = range(old, max(0, len(trials) - LATEST))
        for place in {*newly_old, *(place for place in ended if place < old)}:
            self._rank(place)

    def _rank(self, place: int) -> None:
        trial = self.trials[place]
        if trial.state == TrialState.COMPLETE:
            ranked = (self._sign * trial.values[0], place)
            if len(self._best) < BEST:
                heapq.heappush(self._best, ranked)
            else:
                heapq.heappushpop(self._best, ranked)

    def tried(self, params: Mapping[str, Any], but: int) -> bool:
        """Whether a trial has these parameters, other than that of number `but`."""
        wanted = key(params)
        others = (self.trials[place] for place in self._open)
        return wanted in self._keys or any(other.number != but and key(other.params) == wanted for other in others)

    def few(self) -> list[FrozenTrial]:
        """Those that a model learns from."""
        latest = self.trials[-LATEST:]
        if len(latest) == len(self.trials) or self._several or any(trial.constraints for trial in latest):
            return self.trials
        return [*(self.trials[place] for _, place in sorted(self._best, reverse=True)), *latest]


_OF: "WeakKeyDictionary[optuna.Study, TrialIndex]" = WeakKeyDictionary()


def known(study: optuna.Study) -> TrialIndex:
    """What is known of `study` by now."""
    found = _OF.get(study)
    if found is None:
        found = _OF[study] = TrialIndex(study.directions)
    found.look(study.get_trials(deepcopy=False))
    return found


def key(params: Mapping[str, Any]) -> str:
    """Equal where the parameters are: 1 is not true here."""
    return json.dumps(params, sort_keys=True)
