"""What is confirmed, on which seeds, and what came of it.

The best configurations of a search are trained anew on fresh seeds, every configuration on the same ones. A run's seed
draws its split of what is not test, its noise, its initial weights and its order, so runs that share one are paired.
What came of each run is a file of its own, written whole by the driver alone once the run has ended: a kill loses what
was under way and nothing else, and what is there is never run again.

    confirm/ARM-TRIAL/SEED/  result.json  labels.npz  (checkpoint.pt while a long run is under way)
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.common.json_files import read_json, write_json
from harness.common.seeds import derive, successive
from harness.space import Space
from harness.tracking.spool.event_log import TrialEnded, TrialStarted
from harness.training.config.run_config import RunConfig
from harness.tuning.storage.sweep_folder import FolderError, label_files
from harness.tuning.storage.workspace import Workspace
from harness.tuning.study.trial_record import TrialRecord, pareto_front

Kind = Literal["confirmation", "teacher"]

VERSION = 1
"""Of a file of results."""

KIND: Kind = "confirmation"

FIRST_NUMBERS: dict[Kind, int] = {"confirmation": 10**6, "teacher": 10**12}
"""Runs of a kind are numbered from here, above any trial of a search."""


@dataclass(frozen=True, eq=False)
class Configuration:
    """One trial's settings, to be trained on other seeds. `value`: the (first) objective that the search measured."""

    arm: str
    role: str
    trial: int
    params: dict[str, Any]
    config: RunConfig
    value: float

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.trial}"


def choose(space: Space, entries: Iterable[TrialRecord], top: int) -> list[Configuration]:
    """The best `top` configurations of each arm and the best one of each baseline, by the search's own objective.

    Trials that are not complete or broke a constraint are out; of trials with equal settings the first is in. With
    several objectives only trials on the arm's own Pareto front are in, and the best are those of the first objective.
    """
    entries = list(entries)
    chosen = []
    for arm in space.arms:
        own = [entry for entry in entries if entry.arm == arm.name and entry.values and entry.feasible]
        found: dict[RunConfig, TrialRecord] = {}
        for entry in pareto_front(own, space) if space.several else own:
            found.setdefault(_without_seed(arm.config(entry.params)), entry)
        ranked = sorted(found.values(), key=lambda entry: space.gains(entry.values), reverse=True)
        for entry in ranked[: top if arm.role == "arm" else 1]:
            config = arm.config(entry.params)
            chosen.append(Configuration(arm.name, arm.role, entry.number, entry.params, config, entry.values[0]))
    return chosen


def fresh_seeds(space: Space, entries: Iterable[TrialRecord]) -> Iterator[int]:
    """Seeds without end, derived from the search's seed, none of which a trial of the search had."""
    firsts = {space.arm(entry.arm).config(entry.params).seed for entry in entries}
    taken = {seed for first in firsts for seed in successive(first, space.search.seeds_per_trial)}
    place = 0
    while True:
        seed = derive(space.search.seed, f"{KIND}:{place}") % 2**31
        if seed not in taken:
            taken.add(seed)
            yield seed
        place += 1


def _without_seed(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"seed": 0})


@dataclass(frozen=True)
class Job:
    """A configuration on a seed; `place` is the seed's among the fresh ones."""

    configuration: Configuration
    place: int
    seed: int
    kind: Kind = KIND

    @property
    def number(self) -> int:
        """What the run is known by beside the trials of the search; the same whenever it is asked for."""
        return FIRST_NUMBERS[self.kind] * (1 + self.place) + self.configuration.trial

    @property
    def name(self) -> str:
        as_what = "" if self.kind == KIND else f" {self.kind}"
        return f"{self.configuration.name}{as_what} seed {self.place + 1}"

    @property
    def config(self) -> RunConfig:
        return self.configuration.config.model_copy(update={"seed": self.seed})

    def start(self) -> TrialStarted:
        """The record of its beginning. Its kind tells it from the trials that the search is judged by."""
        tags = {
            "kind": self.kind,
            "harness.kind": self.kind,
            "arm": self.configuration.arm,
            "role": self.configuration.role,
            "seed": str(self.seed),
            "trial_of_search": str(self.configuration.trial),
            "state": "running",
        }
        return TrialStarted(trial=self.number, name=self.name, params=self.config.model_dump(), tags=tags)


@dataclass(frozen=True)
class Result:
    """How a run ended.

    `metrics` are those of the last epoch, never the best over epochs; `test` is measured once, after it. A run that
    diverged has a reason instead.
    """

    state: Literal["complete", "failed"]
    epochs: int
    metrics: dict[str, float]
    test: dict[str, float]
    test_images: int
    seconds: float
    reason: str = ""


class Results:
    """The results under `folder`, runs/NAME/confirm."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        self.folder = folder
        self.workspace = workspace

    def of(self, job: Job) -> Path:
        """The folder of a run."""
        return self.folder / job.configuration.name / str(job.seed)

    def get(self, job: Job) -> Result | None:
        """What came of `job`; None before that, and where the file is damaged or of other settings.

        Raises:
            FolderError: the file is of another version.
        """
        file = self.of(job) / "result.json"
        found = read_json(file)
        if found is None:
            return None
        version = found.get("version", VERSION)
        if version != VERSION:
            raise FolderError(
                f"{file}: expected a result of version {VERSION}, got {version}; go on with the version of the harness "
                "that wrote it, or move the folder away to run it again"
            )
        try:
            same = RunConfig(**found["config"]) == job.config
            return Result(**found["result"]) if same else None
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, job: Job, result: Result) -> None:
        facts = {"version": VERSION, "role": job.configuration.role, "config": job.config.model_dump()}
        write_json(self.of(job) / "result.json", {**facts, "result": dataclasses.asdict(result)})

    def end(self, job: Job, result: Result) -> TrialEnded:
        """The record of how `job` ended."""
        return TrialEnded(
            trial=job.number,
            state=result.state,
            reason=result.reason,
            metrics=result.test,
            step=result.epochs,
            artifacts=label_files(self.of(job), self.workspace),
        )

    def tested_configurations(self) -> set[str]:
        """Configurations of arms, by name, that were ever measured on the test part, whether still chosen or not."""
        files = self.folder.glob("*/*/result.json")
        return {file.parent.parent.name for file in files if (read_json(file) or {}).get("role") == "arm"}


class Plan:
    """Configurations × seeds: what is to be run, and what is there of it."""

    def __init__(
        self, configurations: Sequence[Configuration], seeds: Iterator[int], results: Results, kind: Kind = KIND
    ) -> None:
        self.configurations = configurations
        self.results = results
        self.kind = kind
        self._seeds = seeds
        self._drawn: list[int] = []

    def seeds(self, n: int) -> list[int]:
        """The first n, the same ones whenever asked."""
        self._drawn += itertools.islice(self._seeds, max(0, n - len(self._drawn)))
        return self._drawn[:n]

    def missing(self, n: int) -> list[Job]:
        """What is to be run yet for n seeds: all of one seed before any of the next, so that pairs fill up."""
        return [job for job in self._jobs(n) if self.results.get(job) is None]

    def covered(self) -> int:
        """How many of the first seeds every configuration has a result on."""
        n = 0
        while not self.missing(n + 1):
            n += 1
        return n

    def ended(self, n: int) -> list[tuple[Job, Result]]:
        """What was run of n seeds."""
        found = ((job, self.results.get(job)) for job in self._jobs(n))
        return [(job, result) for job, result in found if result is not None]

    def _jobs(self, n: int) -> list[Job]:
        return [
            Job(configuration, place, seed, self.kind)
            for place, seed in enumerate(self.seeds(n))
            for configuration in self.configurations
        ]
