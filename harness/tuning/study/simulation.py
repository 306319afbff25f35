"""A sweep in simulated time: real decisions, known results, no waiting.

Each worker takes one trial after another. Every epoch ends at a time given beforehand, so that results of different
trials arrive interleaved, as in a real sweep.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

Settings = TypeVar("Settings", covariant=True)


class SimulatedSearch(Protocol[Settings]):
    """What suggests trials and decides which to stop."""

    def next(self) -> tuple[int, Settings] | None:
        """Number and settings of the next trial; None when there is none."""

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Whether to stop the trial after this epoch, counted from 1."""

    def complete(self, number: int) -> None: ...

    def prune(self, number: int) -> None: ...


class SimulatedRun(Protocol):
    """The course of a trial that nobody stops."""

    @property
    def epochs(self) -> int: ...

    def seconds(self, epoch: int) -> float:
        """Duration of an epoch, with the set-up in the first."""

    def value(self, epoch: int) -> float: ...


@dataclass(frozen=True)
class EndedTrial:
    """A trial at its end: `value` None if it was pruned, `began` and `ended` in seconds since the sweep's start."""

    number: int
    epochs: int
    value: float | None
    began: float
    ended: float


@dataclass
class _RunningTrial:
    number: int
    run: SimulatedRun
    began: float
    epoch: int = 1


def simulate(
    search: SimulatedSearch[Settings], workers: int, make_run: Callable[[Settings], SimulatedRun]
) -> list[EndedTrial]:
    """The trials in the order in which they end."""
    ended: list[EndedTrial] = []
    queue: list[tuple[float, int, _RunningTrial]] = []  # end of the epoch, order of insertion, trial
    inserted = 0

    def enqueue(now: float, trial: _RunningTrial) -> None:
        nonlocal inserted
        inserted += 1
        heapq.heappush(queue, (now + trial.run.seconds(trial.epoch), inserted, trial))

    def start_next(now: float) -> None:
        if (suggested := search.next()) is not None:
            number, settings = suggested
            enqueue(now, _RunningTrial(number, make_run(settings), now))

    for _ in range(workers):
        start_next(0.0)
    while queue:
        now, _, trial = heapq.heappop(queue)
        value = trial.run.value(trial.epoch)
        stop = search.report(trial.number, trial.epoch, value)
        if not stop and trial.epoch < trial.run.epochs:
            trial.epoch += 1
            enqueue(now, trial)
            continue
        (search.prune if stop else search.complete)(trial.number)
        ended.append(EndedTrial(trial.number, trial.epoch, None if stop else value, trial.began, now))
        start_next(now)
    return ended
