"""Ray Tune's search algorithm and scheduler over a `TrialSource`.

They keep no state that Ray would have to save. The epochs of a result are reported in order, so that pruning does not
depend on how they were grouped; those after the one where the source prunes are dropped.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from harness.tracking.spool.events import DatasetUsed, Event, TrialWarning
from harness.tuning.execution.failure_watch import FailureWatch
from harness.tuning.execution.trial_source import TrialSource
from harness.tuning.failures import OUT_OF_MEMORY, WORKER_LOST
from harness.tuning.trial import Trial
from harness.tuning.worker.chunk_report import ChunkReport

WORKER_RESTARTS = 3
"""How often a trial is started again after its worker was lost, which may have been the machine's fault."""
WORKER_LOST_REASONS = {
    r"low on memory|OutOfMemoryError": f"{OUT_OF_MEMORY}: Ray ended it, since its node ran low",
    r"worker process has died|connection error code": "its process died, or was killed as the system does where memory "
    "runs out",
    r"node.*(died|dead)": "its node went away",
}
"""Pattern in Ray's message about a lost worker → reason in plain words."""


class NotCopied:
    """Mixin for searchers and schedulers that Ray shall neither copy nor save."""

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
    """

    def __init__(
        self,
        source: TrialSource,
        max_concurrent: Callable[[], int],
        trainable_config: Callable[[Trial], dict[str, Any]],
        watch: FailureWatch,
    ) -> None:
        super().__init__()
        self.source = source
        self.max_concurrent = max_concurrent
        self.trainable_config = trainable_config
        self.watch = watch
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
        return self.trainable_config(trial)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.running.discard(trial_id)

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
            self.watch.trial_failed(config["name"], report.failure)
            self.source.fail(number, report.failure)
        elif report.finished:
            self.source.complete(number)
        return self.source.is_open(number)

    def on_trial_error(self, tune_controller: Any, trial: RayTrial) -> None:
        """Release the trial of a lost worker, up to `WORKER_RESTARTS` times; fail it then."""
        number = trial.config["number"]
        if not self.source.is_open(number):
            return
        self.workers_lost[number] += 1
        if self.workers_lost[number] <= WORKER_RESTARTS:
            self.source.release(number)
        else:
            reason = _worker_lost_reason(_error_text(trial), self.workers_lost[number])
            self.watch.trial_failed(trial.config["name"], reason)
            self.source.fail(number, reason)

    def _emit(self, event: Event) -> None:
        for listener in self.source.listeners:
            listener(event)


def _error_text(trial: RayTrial) -> str:
    """Ray's text on the last failure of a trial."""
    try:
        return (
            Path(trial.error_file)
            .read_text(encoding="utf-8", errors="replace")
            .rpartition("Failure #")[2]
            .partition("\n")[2]
        )
    except (OSError, TypeError):
        return ""


def _worker_lost_reason(text: str, count: int) -> str:
    """Why a trial failed whose worker was lost `count` times; `text` is Ray's message on the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    meanings = [meaning for words, meaning in WORKER_LOST_REASONS.items() if re.search(words, text, re.DOTALL)]
    times = "" if count <= 1 else f", {count} times in a row"
    return f"{WORKER_LOST}{times}: " + next(iter([*meanings, *errors[-1:], *lines]), "Ray did not say why")
