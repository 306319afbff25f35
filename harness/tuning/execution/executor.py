"""Runs the trials of a `TrialSource` on Ray Tune, and leaves no files of Ray's.

Ray Tune places trials on nodes and reuses worker processes. Its own searching, stopping, restarting, logging and
resuming are switched off: the source does these.
"""

import logging
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ |= {  # read by Ray Tune when it is imported
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",  # else Ray restarts a trial that the source hands out again
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Ray's snapshots of its own state: nobody reads them
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # the searcher limits the number
    "TUNE_WARN_THRESHOLD_S": "5",
}

from ray import tune

from harness.training.config.run_config import RunConfig
from harness.tuning.cluster import ray_internals
from harness.tuning.cluster.capacity import ray_resources
from harness.tuning.cluster.cluster import TrialSlots
from harness.tuning.execution.failure_watch import FailureWatch
from harness.tuning.execution.start_watch import StartProgress, StartWatch
from harness.tuning.execution.trainable import TrialTrainable
from harness.tuning.execution.trial_source import TrialSource
from harness.tuning.execution.tune_adapters import NotCopied, SourceScheduler, SourceSearcher
from harness.tuning.storage.sweep_folder import SweepFolder
from harness.tuning.storage.workspace import Workspace
from harness.tuning.trial import Trial

RAY_PREFIX = ".ray-"
"""Prefix of the folders that Ray makes beside those of the trials."""


def run_trials(
    source: TrialSource,
    workspace: Workspace,
    folder: SweepFolder,
    slots: TrialSlots,
    *,
    data_digest: Callable[[RunConfig], str] | None = None,
    progress: StartProgress,
    deadline: float | None = None,
    keep_models: bool = False,
) -> bool:
    """Run the missing trials of `source`; returns whether it was stopped before their end, by a signal or the deadline.

    Args:
        slots: resources of a trial, and how many fit at once.
        data_digest: the digest of the data that a run has to read; empty where it may be any.
        progress: shows what trials wait for that have not started.
        deadline: a time of `time.monotonic`, at which running trials are stopped; a later call continues them.
        keep_models: whether trials save their weights.

    Raises:
        DataError: no trial of an arm can use its data or model. It stays open.
        NothingCompleted: all trials failed for one reason that is not their settings.
    """
    if source.missing <= 0:
        return False

    def trainable_config(trial: Trial) -> dict[str, Any]:
        return {
            "number": trial.number,
            "name": trial.name,
            "searched": sorted(trial.params),
            "working_dir": os.getcwd(),  # paths in a configuration are relative to it
            "run": {  # the arguments of `TrialRunner`
                "config": trial.config.model_dump(),
                "location": workspace.worker_location(folder.path / trial.folder),
                "resources": slots.resources,
                "seeds": trial.seeds,
                "at_end": trial.at_end,
                "keep_model": keep_models,
                "data_digest": data_digest(trial.config) if data_digest else "",
            },
        }

    watch, starts = FailureWatch(), StartWatch(slots, progress)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # failures reach the source
    try:
        tuner = tune.Tuner(
            tune.with_resources(TrialTrainable, tune.PlacementGroupFactory([ray_resources(slots.resources)])),
            tune_config=tune.TuneConfig(
                search_alg=SourceSearcher(source, slots, trainable_config, watch, starts),
                scheduler=SourceScheduler(source, watch),
                num_samples=-1,  # the searcher ends it
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"{RAY_PREFIX}{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name=folder.trials.name,
                storage_path=str(folder.path),
                stop=_StopAll(deadline, watch),
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[starts],
                verbose=0,
            ),
        )
        with ray_internals.workers_start_at_once(), _terminate_as_interrupt():
            tuner.fit()
    finally:
        _remove_ray_files(folder.trials)
    if source.missing > 0 and (error := watch.verdict):
        raise error
    return source.missing > 0


class _StopAll(NotCopied, tune.Stopper):  # type: ignore[misc]  # ray ships no types for it
    """Stops all trials at a time of `time.monotonic`, or where they cannot run.

    Ray's own time budget uses the wall clock, which may be set.
    """

    def __init__(self, deadline: float | None, watch: FailureWatch) -> None:
        self.deadline = math.inf if deadline is None else deadline
        self.watch = watch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return time.monotonic() >= self.deadline or self.watch.error is not None


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, which Ray Tune catches."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _remove_ray_files(trials: Path) -> None:
    """Remove the files with which Ray would resume."""
    for pattern in ("*.pkl", "*.json", ".validate_storage_marker", "basic-variant-state-*"):
        for file in trials.glob(pattern):
            file.unlink(missing_ok=True)
    for trial in trials.glob(f"{RAY_PREFIX}*"):
        shutil.rmtree(trial, ignore_errors=True)
