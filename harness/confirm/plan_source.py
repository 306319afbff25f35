"""The `TrialSource` of runs on fresh seeds: those of a confirmation, and the teachers of a distillation."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.confirm.plan import SeedPlan, SeedRun
from harness.results.seed_result import SeedResult
from harness.tracking.spool.events import DatasetUsed, EpochMetrics, Event, TrialEnded, TrialStarted, TrialWarning
from harness.tuning.failures import DIVERGED
from harness.tuning.storage.workspace import Workspace
from harness.tuning.trial import Trial


@dataclass
class _OpenRun:
    run: SeedRun
    epoch: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    test_images: int = 0


class PlanSource:
    """Runs what a plan lacks for n seeds.

    A run that diverged has a result. A run that failed for another reason (memory, a file, a lost worker) has none:
    `failures` names it with its reason, and a later session runs it again.

    Args:
        plan: the runs and their results.
        seeds: how many of the plan's seeds are run.
        workspace: where workers leave files.
        more_seeds: called whenever all runs have ended; returns to how many seeds to go on. None: `seeds` is final.
    """

    def __init__(
        self, plan: SeedPlan, seeds: int, workspace: Workspace, more_seeds: Callable[[], int] | None = None
    ) -> None:
        self.plan = plan
        self.listeners: list[Callable[[Event], None]] = []
        self.failures: dict[str, str] = {}
        self._workspace = workspace
        self._more_seeds = more_seeds
        self._waiting = deque(plan.missing(seeds))
        self._open: dict[int, _OpenRun] = {}

    @property
    def missing(self) -> int:
        return len(self._waiting) + len(self._open)

    def next(self) -> Trial | None:
        if not self._waiting and not self._open and self._more_seeds is not None:
            failed = self.failures.keys()
            self._waiting += [run for run in self.plan.missing(self._more_seeds()) if run.name not in failed]
        if not self._waiting:
            return None
        run = self._waiting.popleft()
        self._open[run.number] = _OpenRun(run)
        self._emit(TrialStarted(trial=run.number, name=run.name, params=run.config.model_dump(), tags=run.tags()))
        return self.plan.trial(run)

    def is_open(self, number: int) -> bool:
        return number in self._open

    def record_seconds(self, number: int, seconds: float) -> None:
        self._open[number].seconds = seconds

    def record_dataset(self, number: int, parts: Sequence[Mapping[str, Any]]) -> None:
        self._emit(DatasetUsed(trial=number, parts=tuple(parts)))

    def record_warning(self, number: int, text: str) -> None:
        self._emit(TrialWarning(trial=number, text=text))

    def record_test(self, number: int, metrics: Mapping[str, float], samples: int) -> None:
        run = self._open[number]
        run.test, run.test_images = dict(metrics), samples

    def report(self, number: int, epoch: int, metrics: dict[str, float]) -> bool:
        run = self._open[number]
        run.epoch, run.metrics = epoch, metrics
        self._emit(EpochMetrics(trial=number, step=epoch, metrics=metrics))
        return False

    def complete(self, number: int) -> None:
        self._save(number, "")

    def prune(self, number: int) -> None:
        raise AssertionError("runs on fresh seeds are never pruned")

    def fail(self, number: int, reason: str) -> None:
        if reason.startswith(DIVERGED):
            self._save(number, reason)
        else:
            self.failures[self._open.pop(number).run.name] = reason
            self._emit(TrialEnded(trial=number, state="failed", reason=reason))

    def release(self, number: int) -> None:
        self._waiting.appendleft(self._open.pop(number).run)

    def _save(self, number: int, reason: str) -> None:
        run = self._open.pop(number)
        result = SeedResult(
            role=run.run.configuration.role,
            config=run.run.config,
            state="failed" if reason else "complete",
            epochs=run.epoch,
            metrics=run.metrics,
            test=run.test,
            test_images=run.test_images,
            seconds=round(run.seconds, 3),
            reason=reason,
        )
        self.plan.save(run.run, result)
        self._emit(self.plan.end_event(run.run, result, self._workspace))

    def _emit(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
