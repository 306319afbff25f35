"""A sweep without training: what decides is the project's own, what is decided about is looked up in a table.

Workers take a trial each; every epoch comes in when the table says that it took so long, so that results arrive out of
order, as they do in a sweep. The `Ledger` behind Ray's searcher and scheduler is asked and told as these do it.
"""

import heapq
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna

from benchmarks.tables import SETTINGS, Table
from harness.tuning.ledger import Ledger

SCRATCH = Path("/dev/shm")
"""Where journals go for the time of a search: in memory, a write to the disk each would be most of the time."""


class Search(Protocol):
    """What suggests trials, hears of their epochs, and says which to stop."""

    def next(self) -> tuple[int, dict[str, Any]] | None:
        """Number and parameters of the next trial; None when there is none."""

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Whether the trial should stop after this epoch."""

    def complete(self, number: int) -> None: ...

    def prune(self, number: int) -> None: ...


class LedgerSearch:
    """The project's: its space language, its samplers and pruners, its journal."""

    def __init__(self, table: Table, overrides: Sequence[str], folder: Path) -> None:
        self.metric = table.metric
        self.ledger = Ledger(folder / "study.journal", table.space(overrides))
        self.complete, self.prune = self.ledger.complete, self.ledger.prune

    def next(self) -> tuple[int, dict[str, Any]] | None:
        trial = self.ledger.next()
        return None if trial is None else (trial.number, trial.params)

    def report(self, number: int, epoch: int, value: float) -> bool:
        return self.ledger.report(number, epoch, {self.metric: value})


class OptunaSearch:
    """Optuna's own study, in memory, with one sampler of Optuna's for all trials; it stops none."""

    def __init__(self, table: Table, trials: int, sampler: optuna.samplers.BaseSampler) -> None:
        self.table, self.trials = table, trials
        self.study = optuna.create_study(direction=table.direction, sampler=sampler)
        self.open: dict[int, tuple[optuna.Trial, float]] = {}

    def next(self) -> tuple[int, dict[str, Any]] | None:
        if len(self.study.get_trials(deepcopy=False)) == self.trials:
            return None
        trial = self.study.ask()
        for setting, axis in zip(SETTINGS, self.table.axes, strict=False):
            if axis.ordered:
                trial.suggest_int(setting, 1, axis.size)
            else:
                trial.suggest_categorical(setting, list(range(1, axis.size + 1)))
        self.open[trial.number] = (trial, 0.0)
        return trial.number, trial.params

    def report(self, number: int, epoch: int, value: float) -> bool:
        self.open[number] = (self.open[number][0], value)
        return False

    def complete(self, number: int) -> None:
        self.study.tell(*self.open.pop(number))

    def prune(self, number: int) -> None:
        raise AssertionError("nothing asks it to")


@dataclass(frozen=True)
class Ended:
    """A trial at its end, in the order in which they ended; `value` where it ran to its last epoch."""

    cell: int
    epochs: int
    value: float | None


def simulate(search: Search, table: Table, column: int, workers: int) -> list[Ended]:
    """Run the search to its end on one column of the table."""
    ended: list[Ended] = []
    queue: list[tuple[float, int, int, int, int]] = []  # time, order of coming, number, cell, epoch

    def begin(now: float) -> None:
        if (trial := search.next()) is not None:
            number, params = trial
            push(now, number, table.cell(params), 1)

    coming = 0

    def push(now: float, number: int, cell: int, epoch: int) -> None:
        nonlocal coming
        coming += 1
        heapq.heappush(queue, (now + table.cost[column, cell] / table.epochs, coming, number, cell, epoch))

    for _ in range(workers):
        begin(0.0)
    while queue:
        now, _, number, cell, epoch = heapq.heappop(queue)
        value = float(table.curve[column, cell, epoch - 1])
        stop = search.report(number, epoch, value)
        if not stop and epoch < table.epochs:
            push(now, number, cell, epoch + 1)
            continue
        (search.prune if stop else search.complete)(number)
        ended.append(Ended(cell, epoch, None if stop else value))
        begin(now)
    return ended


def run(table: Table, make: Callable[[Path], Search], column: int, workers: int) -> list[Ended]:
    """Simulate a search that `make` makes, given a folder for its journal."""
    scratch = SCRATCH if SCRATCH.is_dir() else None
    with tempfile.TemporaryDirectory(dir=scratch) as folder, warnings.catch_warnings():
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return simulate(make(Path(folder)), table, column, workers)
