"""Ray Tune's source of stops: the study's pruner.

Each result carries the epochs trained since the last. They go into the ledger one by one; the first at which the
pruner says so ends the trial, and what was trained beyond it is dropped.
"""

import re
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from harness.tuning.ledger import Ledger


class LedgerScheduler(FIFOScheduler):  # type: ignore[misc]  # ray ships no types for it
    """Writes results into the ledger and stops what its pruner stops."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def on_trial_result(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> str:
        return str(TrialScheduler.CONTINUE if self._goes_on(trial, result) else TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: RayTrial, result: dict[str, Any]) -> None:
        """Ray brings a trial's own last result here alone; one it stopped, with a result that was seen before."""
        if "epochs" in result:
            self._goes_on(trial, result)

    def _goes_on(self, trial: RayTrial, result: dict[str, Any]) -> bool:
        number = trial.config["number"]
        if not self.ledger.is_open(number):
            return False
        self.ledger.spent(number, result["busy"])
        if result.get("data"):
            self.ledger.saw(number, result["data"])
        for remark in result.get("remarks", ()):
            self.ledger.remark(number, remark)
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
        """Ray gave a trial up, or will restart it; in the second case it is still open afterwards."""
        if not trial.should_recover() and self.ledger.is_open(trial.config["number"]):
            self.ledger.fail(trial.config["number"], f"worker lost: {_reason(trial)}")

    def __deepcopy__(self, memo: dict[int, Any]) -> "LedgerScheduler":
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (dict, ())


def _reason(trial: RayTrial) -> str:
    """The telling line of what Ray wrote down about the last loss: the error's own, where there is one."""
    try:
        told = Path(trial.error_file).read_text().rpartition("Failure #")[2].splitlines()[1:]
    except (OSError, TypeError):
        return "Ray did not say why"
    lines = [line.strip() for line in told if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return next(iter([*errors[-1:], *lines]), "Ray did not say why")
