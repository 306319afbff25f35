"""Simulated sweep: the search decides as usual; results and durations of epochs are given."""

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Metrics = dict[str, float]


class SimulatedSearch(Protocol):
    """Search to simulate, such as a `SweepStudy`: suggests trials and decides which to stop."""

    def next(self) -> Any: ...
    def report(self, number: int, epoch: int, metrics: Metrics) -> bool: ...
    def complete(self, number: int) -> None: ...
    def prune(self, number: int) -> None: ...


@dataclass(frozen=True)
class EndedTrial:
    """A trial at its end; `began` and `ended` in seconds since the sweep's start, `metrics` of its last epoch."""

    trial: Any
    epochs: int
    pruned: bool
    metrics: Metrics
    began: float
    ended: float


def simulate(
    search: SimulatedSearch, workers: int, epochs_of_trial: Callable[[Any], Sequence[tuple[float, Metrics]]]
) -> list[EndedTrial]:
    """The trials in the order in which they end.

    Args:
        epochs_of_trial: seconds and metrics of each epoch of a trial that is not stopped; the first includes set-up.
    """
    ended: list[EndedTrial] = []
    # End of the epoch, order of insertion, trial, its epochs, epoch from 1, start of the trial.
    queue: list[tuple[float, int, Any, Sequence[tuple[float, Metrics]], int, float]] = []
    order = itertools.count()

    def start_next(now: float) -> None:
        if (trial := search.next()) is not None:
            epochs = epochs_of_trial(trial)
            heapq.heappush(queue, (now + epochs[0][0], next(order), trial, epochs, 1, now))

    for _ in range(workers):
        start_next(0.0)
    while queue:
        now, _, trial, epochs, epoch, began = heapq.heappop(queue)
        metrics = epochs[epoch - 1][1]
        pruned = search.report(trial.number, epoch, metrics)
        if not pruned and epoch < len(epochs):
            heapq.heappush(queue, (now + epochs[epoch][0], next(order), trial, epochs, epoch + 1, began))
            continue
        (search.prune if pruned else search.complete)(trial.number)
        ended.append(EndedTrial(trial, epoch, pruned, metrics, began, now))
        start_next(now)
    return ended
