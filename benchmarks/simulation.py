"""Simulated searches: decisions of `SweepStudy` in simulated time, on the results of a table; nothing is trained."""

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from benchmarks.tables import SETTINGS, Table
from harness.tuning.study import simulation
from harness.tuning.study.simulation import SimulatedSearch
from harness.tuning.study.sweep_study import SweepStudy

SCRATCH = Path("/dev/shm")
"""Where journals go for the time of a search: in memory, since writes to a disk would take most of the time."""


def sweep_study(table: Table, overrides: Sequence[str], folder: Path) -> SimulatedSearch:
    """The project's search: its space language, its samplers and pruners, its journal."""
    return SweepStudy(folder / "study.journal", table.space(overrides))


class OptunaSearch:
    """Optuna's own study, in memory, with one sampler for all trials and no pruner."""

    def __init__(self, table: Table, trials: int, sampler: optuna.samplers.BaseSampler) -> None:
        self.table, self.trials = table, trials
        self.study = optuna.create_study(direction=table.direction, sampler=sampler)
        self.values: dict[int, float] = {}

    def next(self) -> optuna.Trial | None:
        if len(self.study.get_trials(deepcopy=False)) == self.trials:
            return None
        trial = self.study.ask()
        for setting, axis in zip(SETTINGS, self.table.axes, strict=False):
            if axis.ordered:
                trial.suggest_int(setting, 1, axis.size)
            else:
                trial.suggest_categorical(setting, list(range(1, axis.size + 1)))
        return trial

    def report(self, number: int, epoch: int, metrics: dict[str, float]) -> bool:
        self.values[number] = metrics[self.table.metric]
        return False

    def complete(self, number: int) -> None:
        self.study.tell(number, self.values.pop(number))

    def prune(self, number: int) -> None:
        raise AssertionError("there is no pruner")


@dataclass(frozen=True)
class EndedTrial:
    """A trial at its end, in the order in which they ended; `value` is None if it was pruned."""

    cell: int
    epochs: int
    value: float | None


def simulate(search: SimulatedSearch, table: Table, column: int, workers: int) -> list[EndedTrial]:
    """Run the search to its end on one column of the table."""

    def epochs_of_trial(trial: Any) -> list[tuple[float, dict[str, float]]]:
        cell = table.cell(trial.params)
        seconds = float(table.cost[column, cell] / table.epochs)
        return [(seconds, {table.metric: float(value)}) for value in table.curve[column, cell]]

    return [
        EndedTrial(table.cell(ended.trial.params), ended.epochs, None if ended.pruned else ended.metrics[table.metric])
        for ended in simulation.simulate(search, workers, epochs_of_trial)
    ]


def run(table: Table, make: Callable[[Path], SimulatedSearch], column: int, workers: int) -> list[EndedTrial]:
    """Simulate the search that `make` creates in a folder for its journal."""
    scratch = SCRATCH if SCRATCH.is_dir() else None
    with tempfile.TemporaryDirectory(dir=scratch) as folder, warnings.catch_warnings():
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return simulate(make(Path(folder)), table, column, workers)
