"""Workers on Ray that take one run after another: a crew.

A search goes through Ray Tune for what stops and suggests. A confirmation has neither: all its runs are known, and go
to their ends. So a few actors, each with torch loaded once, are handed the runs in order. An actor that is lost is
replaced, and its run is taken up by the new one, from its checkpoint where it has one.

Only here is the test part of a data set opened: on the worker, once the last epoch of a run is over. A crew of teachers
then leaves what their students learn from, `logits.npz`, in the run's folder.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import ray

from harness.common.urls import Url
from harness.confirm.plan import Job, Result
from harness.space import Search
from harness.tuning.cluster.cluster import LOOK_SECONDS, Joined, Slots, as_options
from harness.tuning.execution.lost_workers import WORKER_RESTARTS, lost_worker
from harness.tuning.failures import DIVERGED
from harness.tuning.storage.workspace import Workspace
from harness.tuning.trial import EndAction
from harness.tuning.worker.chunk_report import ChunkReport
from harness.tuning.worker.options import WorkerOptions

if TYPE_CHECKING:
    from harness.tuning.worker.runner import TrialRunner


@dataclass(frozen=True)
class Started:
    job: Job


@dataclass(frozen=True)
class EpochMetrics:
    """Epochs of a run, as (number, metrics)."""

    job: Job
    epochs: Sequence[tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class Saw:
    """DataSplits of the data that a run works with; the test part once it is opened."""

    job: Job
    parts: Sequence[dict[str, Any]]


@dataclass(frozen=True)
class TrialWarning:
    """What a user should know of a run's files."""

    job: Job
    text: str


@dataclass(frozen=True)
class Ended:
    job: Job
    result: Result


@dataclass(frozen=True)
class Lost:
    """The run came to no result, for a reason that lies outside of it; it may be tried again."""

    job: Job
    reason: str


Event = Started | Saw | EpochMetrics | TrialWarning | Ended | Lost


class Crew:
    """Workers, as many as there is room for; hired as they are needed, let go at the end.

    Args:
        slots: what each holds, and how many there may be, as things are.
        tests: whether a run that is over is measured on the test part.
        teaches: whether it leaves its logits for students.
    """

    def __init__(self, slots: Slots, workspace: Workspace, *, tests: bool = True, teaches: bool = False) -> None:
        self.slots = slots
        self.workspace = workspace
        logits: tuple[EndAction, ...] = ("export_logits",) if teaches else ()
        self.at_end: tuple[EndAction, ...] = (*logits, "evaluate_test") if tests else logits
        self._staff: list[Any] = []
        self._idle: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._staff:
            ray.kill(worker)

    def run(self, jobs: Iterable[tuple[Job, Path]]) -> Iterator[Event]:
        """Run every job, each in its own folder, and tell what happens as it happens."""
        waiting = deque((job, self.workspace.worker_location(folder)) for job, folder in jobs)
        busy: dict[Any, tuple[Any, Job, Path | Url]] = {}
        losses: dict[Job, int] = {}
        while waiting or busy:
            while waiting and (self._idle or len(self._staff) < self.slots()):
                job, folder = waiting.popleft()
                worker = self._idle.pop() if self._idle else self._hire()
                busy[worker.begin.remote(job.config.model_dump(), str(folder))] = worker, job, folder
                if job not in losses:
                    yield Started(job)
            ready, _ = ray.wait(list(busy), num_returns=1, timeout=LOOK_SECONDS if waiting else None)
            if not ready:
                continue  # there may be more room by now
            (done,) = ready
            worker, job, folder = busy.pop(done)
            try:
                report: ChunkReport = ray.get(done)
            except ray.exceptions.RayActorError as error:
                self._staff.remove(worker)
                losses[job] = losses.get(job, 0) + 1
                if losses[job] > WORKER_RESTARTS:
                    yield Lost(job, lost_worker(str(error), losses[job]))
                else:
                    waiting.appendleft((job, folder))
                continue
            except ray.exceptions.RayError as error:
                self._idle.append(worker)
                yield Lost(job, _first_line(getattr(error, "cause", None) or error))
                continue
            if report["disk_error"]:
                raise OSError(*report["disk_error"])  # of a disk that takes nothing: the run is taken up later
            if report["datasets"]:
                yield Saw(job, report["datasets"])
            for warning in report["warnings"]:
                yield TrialWarning(job, warning)
            yield EpochMetrics(job, report["epochs"])
            if not report["finished"]:
                busy[worker.run_chunk.remote()] = worker, job, folder
                continue
            self._idle.append(worker)
            yield _outcome(job, report)

    def _hire(self) -> Any:
        need = self.slots.need
        worker = ray.remote(**as_options(need))(_Worker).remote(WorkerOptions.from_resources(need), self.at_end)
        self._staff.append(worker)
        return worker


def hire(
    cluster: Joined,
    workspace: Workspace,
    search: Search,
    most: int | None,
    *,
    tests: bool = True,
    teaches: bool = False,
) -> Crew:
    """A crew as large as fits on the cluster, up to `most`, or to what the search had at once.

    Raises:
        ClusterError: not one worker fits.
    """
    return Crew(cluster.room(search.resources, most or search.concurrency), workspace, tests=tests, teaches=teaches)


class _Worker:
    """What runs on a worker: one run at a time, some epochs a call."""

    def __init__(self, options: WorkerOptions, at_end: tuple[EndAction, ...]) -> None:
        self.options = options
        self.at_end = at_end
        self.work: TrialRunner | None = None

    def begin(self, config: dict[str, Any], folder: str) -> ChunkReport:
        from harness.tuning.worker import runner  # here and not above: the driver holds this class too, without torch

        runner.configure_process(self.options)
        if self.work is not None:
            self.work.cleanup()
        path, scratch = runner.resolve_dir(folder)
        self.work = runner.TrialRunner(config, path, options=self.options, scratch=scratch, at_end=self.at_end)
        return self.run_chunk()

    def run_chunk(self) -> ChunkReport:
        assert self.work is not None
        return self.work.run_chunk()


def _outcome(job: Job, report: ChunkReport) -> Event:
    """A run that diverged has come to a result. What else may fail, memory or a file, says nothing of its settings."""
    failure = report["failure"]
    if failure and not failure.startswith(DIVERGED):
        return Lost(job, failure)
    metrics = report["epochs"][-1][1] if report["epochs"] else {}
    return Ended(
        job,
        Result(
            state="failed" if failure else "complete",
            epochs=report["epochs"][-1][0] if report["epochs"] else 0,
            metrics=metrics,
            test=report["test"],
            test_images=report["test_samples"],
            seconds=round(report["seconds"], 3),
            reason=failure,
        ),
    )


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
