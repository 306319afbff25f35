"""Ray Tune's source of stops: the study's pruner.

Each result carries the epochs trained since the last. They go into the ledger one by one; the first at which the
pruner says so ends the trial, and what was trained beyond it is dropped. A trial that came to its own end is stopped
here too: Ray swallows what goes wrong in the hook that it has for trials that say they are done. And a lost worker's
trial goes back to the ledger: Ray's own restarts count an actor that died before it had begun as the trial's end.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from harness.tuning.execution.lost_workers import WORKER_RESTARTS, lost_worker
from harness.tuning.study.sweep_study import SweepStudy


class LedgerScheduler(FIFOScheduler):  # type: ignore[misc]  # ray ships no types for it
    """Writes results into the ledger and stops what its pruner stops."""

    def __init__(self, ledger: SweepStudy) -> None:
        super().__init__()
        self.ledger = ledger
        self.losses: Counter[int] = Counter()

    def choose_trial_to_run(self, tune_controller: Any) -> RayTrial | None:
        """None: a trial that is new takes a worker that is free, and one whose worker is being started keeps waiting.

        Ray's own choice, the first that waits, takes the free worker for that one, and the worker that was being
        started is given up: where starting takes longer than a trial, most never come to be used. It looks through all
        trials that there ever were, besides.
        """
        return None

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        return str(TrialScheduler.CONTINUE if self._goes_on(trial, result) else TrialScheduler.STOP)

    def _goes_on(self, trial: RayTrial, result: dict[str, Any]) -> bool:
        number = trial.config["number"]
        if not self.ledger.is_open(number):
            return False
        self.ledger.record_seconds(number, result["seconds"])
        if result["datasets"]:
            self.ledger.record_dataset(number, result["datasets"])
        for warning in result["warnings"]:
            self.ledger.record_warning(number, warning)
        if result["disk_error"]:
            raise OSError(*result["disk_error"])  # of a disk that takes nothing: the sweep ends, the trial stays open
        for epoch, metrics in result["epochs"]:
            if self.ledger.report(number, epoch, metrics):
                self.ledger.prune(number)
                return False
        if result["failure"]:
            self.ledger.fail(number, result["failure"])
        elif result["finished"]:
            self.ledger.complete(number)
        return self.ledger.is_open(number)

    def on_trial_error(self, tune_controller: Any, trial: RayTrial) -> None:
        """A worker is gone: its trial is the next one to be run, until it is given up."""
        number = trial.config["number"]
        if not self.ledger.is_open(number):
            return
        self.losses[number] += 1
        if self.losses[number] <= WORKER_RESTARTS:
            self.ledger.release(number)
        else:
            self.ledger.fail(number, lost_worker(_told(trial), self.losses[number]))

    def __deepcopy__(self, memo: dict[int, Any]) -> "LedgerScheduler":
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dict, ())


def _told(trial: RayTrial) -> str:
    """What Ray wrote down about the last loss."""
    try:
        return Path(trial.error_file).read_text().rpartition("Failure #")[2].partition("\n")[2]
    except (OSError, TypeError):
        return ""
