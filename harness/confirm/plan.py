"""Configurations × fresh seeds: which runs there are, and the result file of each.

A run's seed draws its split of everything but the test part, its noise, its initial weights and its order; runs of
different configurations on one seed are therefore paired. The driver writes a run's result once the run has ended, in
one file of its own. A kill loses only what was running, and no finished run is run again.

    confirm/ARM-TRIAL/SEED/  result.json  labels.npz  (checkpoint.pt while a long run is under way)
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.confirm.configurations import Configuration
from harness.results.seed_result import SeedResult
from harness.tracking.spool.events import TrialEnded
from harness.training.config.run_config import RunConfig
from harness.tuning.storage.sweep_folder import label_files
from harness.tuning.storage.workspace import Workspace
from harness.tuning.trial import EndAction, Trial

Kind = Literal["confirmation", "teacher"]

FIRST_NUMBERS: dict[Kind, int] = {"confirmation": 10**6, "teacher": 10**12}
"""Trial numbers of a kind start here, above those of any search."""


@dataclass(frozen=True)
class SeedRun:
    """A configuration on one seed; `index` is the seed's among the fresh ones, from 0."""

    configuration: Configuration
    index: int
    seed: int
    kind: Kind = "confirmation"

    @property
    def number(self) -> int:
        """A trial number that is unique in the sweep and the same in every session."""
        return FIRST_NUMBERS[self.kind] * (1 + self.index) + self.configuration.trial

    @property
    def name(self) -> str:
        kind = "" if self.kind == "confirmation" else f" {self.kind}"
        return f"{self.configuration.name}{kind} seed {self.index + 1}"

    @property
    def config(self) -> RunConfig:
        return self.configuration.config.model_copy(update={"seed": self.seed})

    def tags(self) -> dict[str, str]:
        """Tags of its run in MLflow. The kind keeps it apart from the trials of the search."""
        return {
            "kind": self.kind,
            "harness.kind": self.kind,
            "arm": self.configuration.arm,
            "role": self.configuration.role,
            "seed": str(self.seed),
            "trial_of_search": str(self.configuration.trial),
            "state": "running",
        }


class SeedPlan:
    """Runs of several configurations on the same seeds, and their results on disk.

    Args:
        configurations: what is run.
        seeds: the fresh seeds, in order.
        folder: where results are kept, runs/NAME/confirm.
        at_end: what a run does after its last epoch.
        required: a file that a complete run must have left in its folder; without it the run is done again.
    """

    def __init__(
        self,
        configurations: Sequence[Configuration],
        seeds: Iterator[int],
        folder: Path,
        *,
        kind: Kind = "confirmation",
        at_end: tuple[EndAction, ...] = ("evaluate_test",),
        required: str | None = None,
    ) -> None:
        self.configurations = configurations
        self.folder = folder
        self.kind = kind
        self.at_end = at_end
        self.required = required
        self._seeds = seeds
        self._drawn: list[int] = []

    def seeds(self, n: int) -> list[int]:
        """The first n seeds."""
        self._drawn += itertools.islice(self._seeds, max(0, n - len(self._drawn)))
        return self._drawn[:n]

    def runs(self, n: int) -> list[SeedRun]:
        """All runs on n seeds; all configurations on one seed come before the next seed, so that pairs fill up."""
        return [
            SeedRun(configuration, index, seed, self.kind)
            for index, seed in enumerate(self.seeds(n))
            for configuration in self.configurations
        ]

    def missing(self, n: int) -> list[SeedRun]:
        """The runs on n seeds that have no result yet."""
        return [run for run in self.runs(n) if self.result(run) is None]

    def n_complete_seeds(self) -> int:
        """The number of first seeds on which every configuration has a result."""
        n = 0
        while not self.missing(n + 1):
            n += 1
        return n

    def results(self, n: int) -> list[tuple[SeedRun, SeedResult]]:
        """The runs on n seeds that have a result, with it."""
        results = ((run, self.result(run)) for run in self.runs(n))
        return [(run, result) for run, result in results if result is not None]

    def results_by_configuration(self, n: int, first: int = 0) -> list[tuple[Configuration, dict[int, SeedResult]]]:
        """The results of each configuration on the seeds `first` to n - 1, by seed."""
        results = {configuration: dict[int, SeedResult]() for configuration in self.configurations}
        for run, result in self.results(n):
            if run.index >= first:
                results[run.configuration][run.seed] = result
        return list(results.items())

    def trial(self, run: SeedRun) -> Trial:
        """The trial that the executor runs for `run`."""
        configuration = run.configuration
        return Trial(
            number=run.number,
            arm=configuration.arm,
            params=configuration.params,
            config=run.config,
            name=run.name,
            folder=str(self.run_folder(run).relative_to(self.folder.parent)),
            at_end=self.at_end,
        )

    def run_folder(self, run: SeedRun) -> Path:
        return self.folder / run.configuration.name / str(run.seed)

    def result(self, run: SeedRun) -> SeedResult | None:
        """The result of `run`; None if it has none, or if the file is damaged or of other settings.

        Raises:
            ResultFileError: the file is of another format version.
        """
        result = SeedResult.load_or_none(self.run_folder(run))
        if result is None or result.config != run.config:
            return None
        if result.state == "complete" and self.required and not (self.run_folder(run) / self.required).is_file():
            return None
        return result

    def discard_failed(self, workspace: Workspace) -> None:
        """Remove the results of runs that diverged, so that these are run again."""
        for configuration in self.configurations:
            for file in (self.folder / configuration.name).glob(f"*/{SeedResult.FILE}"):
                result = SeedResult.load_or_none(file)
                if result is not None and result.state == "failed":
                    workspace.remove(file)

    def save(self, run: SeedRun, result: SeedResult) -> None:
        folder = self.run_folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        result.save(folder)

    def end_event(self, run: SeedRun, result: SeedResult, workspace: Workspace) -> TrialEnded:
        return TrialEnded(
            trial=run.number,
            state=result.state,
            reason=result.reason,
            metrics=result.test,
            step=result.epochs,
            artifacts=label_files(self.run_folder(run), workspace),
        )

    def tested_configurations(self) -> set[str]:
        """Names of the arms' configurations that were ever measured on the test part, still chosen or not."""
        files = self.folder.glob(f"*/*/{SeedResult.FILE}")
        results = ((file.parent.parent.name, SeedResult.load_or_none(file)) for file in files)
        return {name for name, result in results if result is not None and result.role == "arm"}
