"""Ray Tune's search algorithm and scheduler over a `TrialSource`.

They keep no state that Ray would have to save. The epochs of a result are reported in order, so that pruning does not
depend on how they were grouped; those after the one where the source prunes are dropped.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from harness.tracking.spool.events import DatasetUsed, Event, TrialWarning
from harness.tuning.execution.failure_watch import FailureWatch
from harness.tuning.execution.lost_workers import error_text, worker_lost_reason
from harness.tuning.execution.trial_source import TrialSource
from harness.tuning.trial import Trial
from harness.tuning.worker.chunk_report import ChunkReport

if TYPE_CHECKING:
    from harness.tuning.execution.start_watch import StartWatch

WORKER_RESTARTS = 3
"""How often a trial is started again after its worker was lost, which may have been the machine's fault."""


class NotCopied:
    """Mixin for searchers, schedulers and callbacks that Ray shall neither copy nor save."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dict, ())


class SourceSearcher(NotCopied, Searcher):  # type: ignore[misc]  # ray ships no types for it
    """Suggests the next trial of a source.

    Args:
        max_concurrent: the number of trials that may run at once; it changes as nodes join and leave a cluster.
        trainable_config: what `TrialTrainable` is given for a trial.
        watch: whether more trials may start.
        starts: is told of each trial that waits for its worker.
    """

    def __init__(
        self,
        source: TrialSource,
        max_concurrent: Callable[[], int],
        trainable_config: Callable[[Trial], dict[str, Any]],
        watch: FailureWatch,
        starts: "StartWatch",
    ) -> None:
        super().__init__()
        self.source = source
        self.max_concurrent = max_concurrent
        self.trainable_config = trainable_config
        self.watch = watch
        self.starts = starts
        self.running: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if len(self.running) >= self.max_concurrent():
            return None
        if self.watch.verdict is not None:
            return None if self.running else str(Searcher.FINISHED)
        trial = self.source.next()
        if trial is None:
            return None if self.running else str(Searcher.FINISHED)  # one that runs may be released
        self.running.add(trial_id)
        self.starts.add(trial_id, trial.name)
        return self.trainable_config(trial)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.running.discard(trial_id)
        self.starts.remove(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Write the file that Ray expects."""
        Path(checkpoint_path).write_text(json.dumps({}), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the source has the state."""


class SourceScheduler(NotCopied, FIFOScheduler):  # type: ignore[misc]  # ray ships no types for it
    """Passes results, ends and lost workers to a source, and to the watch over the first trials."""

    def __init__(self, source: TrialSource, watch: FailureWatch) -> None:
        super().__init__()
        self.source = source
        self.watch = watch
        self.workers_lost: Counter[int] = Counter()

    def choose_trial_to_run(self, tune_controller: Any) -> RayTrial | None:
        """None: Ray gives a free worker to the newest trial, and a trial whose worker is starting waits for that one.

        Ray's default gives the free worker to the first waiting trial and stops the worker that was starting for it.
        Where a worker takes longer to start than a trial takes to run, most workers are then never used. The default
        also scans all trials that ever ran.
        """
        return None

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        goes_on = self.record(trial.config, result["chunk"])
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def record(self, config: dict[str, Any], report: ChunkReport) -> bool:
        """Record a chunk of a trial, by its `trainable_config`; returns whether the trial goes on."""
        number = config["number"]
        self.watch.worker_answered()
        if not self.source.is_open(number):
            return False
        self.source.record_seconds(number, report.seconds)
        if report.datasets:
            self._emit(DatasetUsed(trial=number, parts=tuple(report.datasets)))
        for warning in report.warnings:
            self._emit(TrialWarning(trial=number, text=warning))
        if report.disk_error is not None:
            raise report.disk_error  # the sweep stops, the trial stays open
        if report.unusable and self.watch.cannot_begin(config["name"], config["searched"], report.failure):
            self.source.release(number)
            return False
        for epoch, metrics in report.epochs:
            self.watch.epoch_reached()
            if self.source.report(number, epoch, metrics):
                self.source.prune(number)
                return False
        if report.test:
            self.source.record_test(number, report.test, report.test_samples)
        if report.failure:
            traceback = f"{config['run']['location']}/{report.traceback}" if report.traceback else ""
            self.watch.trial_failed(config["name"], report.failure, traceback)
            self.source.fail(number, report.failure)
        elif report.finished:
            self.source.complete(number)
        return self.source.is_open(number)

    def on_trial_error(self, tune_controller: Any, trial: RayTrial) -> None:
        """Release the trial of a lost worker, up to `WORKER_RESTARTS` times; fail it then."""
        number, name = trial.config["number"], trial.config["name"]
        if not self.source.is_open(number):
            return
        self.workers_lost[number] += 1
        reason = worker_lost_reason(error_text(trial), self.workers_lost[number])
        if self.watch.worker_lost(name, reason) or self.workers_lost[number] <= WORKER_RESTARTS:
            self.source.release(number)
        else:
            self.watch.trial_failed(name, reason)
            self.source.fail(number, reason)

    def _emit(self, event: Event) -> None:
        for listener in self.source.listeners:
            listener(event)
