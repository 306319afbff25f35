"""One sweep on Ray Tune: run what the ledger asks for, leave nothing of Ray's own behind.

Ray Tune places trials and reuses workers. All else it can do (searching, stopping, restarting,
logging, resuming) is switched off here, since the ledger does it.
"""

import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

os.environ |= {  # read by Ray Tune when it is imported
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # else Ray restarts a trial that the ledger hands out again
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Ray's snapshots of itself: nobody reads them
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # the searcher knows how many
    "TUNE_WARN_THRESHOLD_S": "5",
}

from ray import tune

from harness.common.urls import Url
from harness.space import Space
from harness.tuning.cluster.cluster import Slots, in_rays_words
from harness.tuning.execution.scheduler import LedgerScheduler
from harness.tuning.execution.searcher import LedgerSearcher
from harness.tuning.execution.signals import terminate_as_interrupt
from harness.tuning.execution.trainable import TrialTrainable
from harness.tuning.storage.sweep_folder import SweepFolder
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.worker.options import WorkerOptions

RAYS = ".ray-"
"""How the folders begin that Ray makes beside those of the trials."""


def run_sweep(
    space: Space,
    folder: SweepFolder,
    ledger: SweepStudy,
    *,
    trials: Path | Url,
    slots: Slots,
    deadline: float | None = None,
    keep_models: bool = False,
) -> bool:
    """Run what is missing from the budget; returns whether it was cut short, by Ctrl-C or the deadline.

    Args:
        trials: where workers find the folders of trials.
        slots: what a trial holds, and how many may be run at once, as things are.
        deadline: as of `time.monotonic`, after which running trials are stopped, to be taken up by a later call.
        keep_models: have trials leave their weights.
    """
    if ledger.missing <= 0:
        return False
    need = slots.need
    searcher = LedgerSearcher(ledger, trials, slots, WorkerOptions.from_resources(need), keep_models)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what matters of it the ledger hears
    try:
        tuner = tune.Tuner(
            tune.with_resources(TrialTrainable, tune.PlacementGroupFactory([in_rays_words(need)])),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=LedgerScheduler(ledger),
                num_samples=-1,  # the searcher says when it is enough
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"{RAYS}{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name=folder.trials.name,
                storage_path=str(folder.path),
                stop=None if deadline is None else _Deadline(deadline),
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=0,
            ),
        )
        with terminate_as_interrupt():
            tuner.fit()
    finally:
        _remove_snapshots(folder)
    return ledger.missing > 0


class _Deadline(tune.Stopper):  # type: ignore[misc]  # ray ships no types for it
    """Ends the sweep at a moment of `time.monotonic`; Ray's own budget goes by the clock, which may be set."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return time.monotonic() >= self.deadline


def _remove_snapshots(folder: SweepFolder) -> None:
    """Take away what Ray wrote to resume by itself; resuming goes by the journal."""
    for pattern in ("*.pkl", "*.json", ".validate_storage_marker", "basic-variant-state-*"):
        for file in folder.trials.glob(pattern):
            file.unlink(missing_ok=True)
    for trial in folder.trials.glob(f"{RAYS}*"):
        shutil.rmtree(trial, ignore_errors=True)
