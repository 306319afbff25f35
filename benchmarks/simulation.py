"""A sweep without training, in simulated time: the decisions are the project's own, the results a table's."""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from benchmarks.tables import SETTINGS, Table
from harness.tuning.study import simulation
from harness.tuning.study.sweep_study import SweepStudy

SCRATCH = Path("/dev/shm")
"""Where journals go for the time of a search: in memory, a write to the disk each would be most of the time."""

Search = simulation.SimulatedSearch[dict[str, Any]]


class LedgerSearch:
    """The project's: its space language, its samplers and pruners, its journal."""

    def __init__(self, table: Table, overrides: Sequence[str], folder: Path) -> None:
        self.metric = table.metric
        self.ledger = SweepStudy(folder / "study.journal", table.space(overrides))
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
class Cell:
    """A trial's life, as a column of the table has it."""

    table: Table
    column: int
    cell: int

    @property
    def epochs(self) -> int:
        return self.table.epochs

    def seconds(self, epoch: int) -> float:
        return float(self.table.cost[self.column, self.cell] / self.table.epochs)

    def value(self, epoch: int) -> float:
        return float(self.table.curve[self.column, self.cell, epoch - 1])


@dataclass(frozen=True)
class Ended:
    """A trial at its end, in the order in which they ended; `value` where it ran to its last epoch."""

    cell: int
    epochs: int
    value: float | None


def simulate(search: Search, table: Table, column: int, workers: int) -> list[Ended]:
    """Run the search to its end on one column of the table."""
    cells: list[int] = []  # by the trials' numbers, which go up one by one

    def live(params: dict[str, Any]) -> Cell:
        cells.append(table.cell(params))
        return Cell(table, column, cells[-1])

    return [
        Ended(cells[trial.number], trial.epochs, trial.value) for trial in simulation.simulate(search, workers, live)
    ]


def run(table: Table, make: Callable[[Path], Search], column: int, workers: int) -> list[Ended]:
    """Simulate a search that `make` makes, given a folder for its journal."""
    scratch = SCRATCH if SCRATCH.is_dir() else None
    with tempfile.TemporaryDirectory(dir=scratch) as folder, warnings.catch_warnings():
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return simulate(make(Path(folder)), table, column, workers)
