"""A sweep in simulated time: what decides is real, what is decided about is looked up, and nobody waits.

Workers take a trial each; every epoch comes in when it is said to, so that results arrive out of order, as they do in a
sweep. What is searched with is asked and told as Ray's searcher and scheduler do it.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

Suggested = TypeVar("Suggested", covariant=True)


class Search(Protocol[Suggested]):
    """What suggests trials, hears of their epochs, and says which to stop."""

    def next(self) -> tuple[int, Suggested] | None:
        """Number and settings of the next trial; None when there is none."""

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Whether the trial should stop after this epoch, the first being 1."""

    def complete(self, number: int) -> None: ...

    def prune(self, number: int) -> None: ...


class Life(Protocol):
    """What becomes of a trial that nobody stops."""

    @property
    def epochs(self) -> int: ...

    def seconds(self, epoch: int) -> float:
        """What an epoch takes, set-up and all."""

    def value(self, epoch: int) -> float: ...


@dataclass(frozen=True)
class Ended:
    """A trial at its end; `value` where it ran to its last epoch, times in seconds since the sweep's start."""

    number: int
    epochs: int
    value: float | None
    began: float
    ended: float


@dataclass
class _Running:
    number: int
    life: Life
    began: float
    epoch: int = 1


def simulate(search: Search[Suggested], workers: int, live: Callable[[Suggested], Life]) -> list[Ended]:
    """The trials in the order in which they end."""
    ended: list[Ended] = []
    queue: list[tuple[float, int, _Running]] = []  # time of the next epoch's end, order of coming
    coming = 0

    def wait(now: float, trial: _Running) -> None:
        nonlocal coming
        coming += 1
        heapq.heappush(queue, (now + trial.life.seconds(trial.epoch), coming, trial))

    def begin(now: float) -> None:
        if (suggested := search.next()) is not None:
            number, settings = suggested
            wait(now, _Running(number, live(settings), now))

    for _ in range(workers):
        begin(0.0)
    while queue:
        now, _, trial = heapq.heappop(queue)
        value = trial.life.value(trial.epoch)
        stop = search.report(trial.number, trial.epoch, value)
        if not stop and trial.epoch < trial.life.epochs:
            trial.epoch += 1
            wait(now, trial)
            continue
        (search.prune if stop else search.complete)(trial.number)
        ended.append(Ended(trial.number, trial.epoch, None if stop else value, trial.began, now))
        begin(now)
    return ended
