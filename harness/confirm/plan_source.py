"""The `TrialSource` of runs on fresh seeds: those of a confirmation, and the teachers of a distillation."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from harness.confirm.plan import SeedPlan, SeedRun
from harness.results.seed_result import SeedResult
from harness.tracking.spool.events import EpochMetrics, Event, TrialEnded, TrialStarted
from harness.tuning.failures import DIVERGED
from harness.tuning.storage.workspace import Workspace
from harness.tuning.trial import Trial


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
        self._open: dict[int, tuple[SeedRun, dict[str, Any]]] = {}  # run and fields of its result, by number

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
        self._open[run.number] = run, {"epochs": 0, "metrics": {}, "test": {}, "test_images": 0, "seconds": 0.0}
        self._emit(TrialStarted(trial=run.number, name=run.name, params=run.config.model_dump(), tags=run.tags()))
        return self.plan.trial(run)

    def is_open(self, number: int) -> bool:
        return number in self._open

    def record_seconds(self, number: int, seconds: float) -> None:
        self._record(number, seconds=round(seconds, 3))

    def record_test(self, number: int, metrics: Mapping[str, float], samples: int) -> None:
        self._record(number, test=dict(metrics), test_images=samples)

    def report(self, number: int, epoch: int, metrics: dict[str, float]) -> bool:
        self._record(number, epochs=epoch, metrics=metrics)
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
            self.failures[self._open.pop(number)[0].name] = reason
            self._emit(TrialEnded(trial=number, state="failed", reason=reason))

    def release(self, number: int) -> None:
        self._waiting.appendleft(self._open.pop(number)[0])

    def _record(self, number: int, **fields: Any) -> None:
        self._open[number][1].update(fields)

    def _save(self, number: int, reason: str) -> None:
        run, measured = self._open.pop(number)
        state: dict[str, Any] = {"state": "failed" if reason else "complete", "reason": reason}
        result = SeedResult(role=run.configuration.role, config=run.config, **state, **measured)
        self.plan.save(run, result)
        self._emit(self.plan.end_event(run, result, self._workspace))

    def _emit(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
