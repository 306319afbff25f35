"""One sweep on Ray Tune: run what the ledger asks for, leave nothing of Ray's own behind.

Ray Tune places trials, reuses workers and restarts lost ones. All else it can do (searching, stopping, logging,
resuming) is switched off here, since the ledger does it.
"""

import logging
import os
import shutil
import time

os.environ |= {  # read by Ray Tune when it is imported
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Ray's snapshots of itself: nobody reads them
    "TUNE_WARN_THRESHOLD_S": "5",
}

from ray import tune

from harness.space import Resources, Space
from harness.tuning.cluster import in_rays_words
from harness.tuning.folder import SweepFolder
from harness.tuning.ledger import Ledger
from harness.tuning.scheduler import LedgerScheduler
from harness.tuning.searcher import LedgerSearcher
from harness.tuning.signals import terminate_as_interrupt
from harness.tuning.trainable import TrialTrainable

WORKER_RESTARTS = 3


def run_sweep(
    space: Space,
    folder: SweepFolder,
    ledger: Ledger,
    *,
    need: Resources,
    concurrency: int,
    deadline: float | None = None,
    keep_models: bool = False,
) -> bool:
    """Run what is missing from the budget; returns whether it was cut short, by Ctrl-C or the deadline.

    Args:
        need: what a trial holds.
        concurrency: trials at once.
        deadline: as of `time.monotonic`, after which running trials are stopped, to be taken up by a later call.
        keep_models: have trials leave their weights.
    """
    missing = ledger.missing
    if missing <= 0:
        return False
    searcher = LedgerSearcher(ledger, folder.trials, threads=max(1, int(need.cpu)), keep_models=keep_models)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what matters of it the ledger hears
    tuner = tune.Tuner(
        tune.with_resources(TrialTrainable, tune.PlacementGroupFactory([in_rays_words(need)])),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=LedgerScheduler(ledger),
            num_samples=missing,
            max_concurrent_trials=concurrency,
            reuse_actors=True,
            time_budget_s=None if deadline is None else max(1.0, deadline - time.monotonic()),
            trial_dirname_creator=lambda trial: str(trial.config["number"]),
        ),
        run_config=tune.RunConfig(
            name=folder.trials.name,
            storage_path=str(folder.path),
            failure_config=tune.FailureConfig(max_failures=WORKER_RESTARTS),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            verbose=0,
        ),
    )
    with terminate_as_interrupt():
        tuner.fit()
    _remove_snapshots(folder)
    return ledger.missing > 0


def _remove_snapshots(folder: SweepFolder) -> None:
    """Take away what Ray wrote to resume by itself; resuming goes by the journal."""
    for pattern in ("*.pkl", "*.json", ".validate_storage_marker", "basic-variant-state-*"):
        for file in folder.trials.glob(pattern):
            file.unlink(missing_ok=True)
    for trial in folder.trials.iterdir():
        for file in trial.glob("checkpoint_*"):
            shutil.rmtree(file, ignore_errors=True)
