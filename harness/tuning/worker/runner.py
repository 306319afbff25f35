"""Runner of one trial on a worker: one run per seed, checkpoints, result files, failures. Imports no Ray.

A trial that a lost worker or a killed driver left unfinished continues from its checkpoint on any worker. It then
reports all epochs again, because the earlier reports may have been lost. A full or broken disk does not fail the trial:
the driver stops, and the next session continues the trial.
"""

import gc
import os
import re
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import ValidationError

from harness.common.atomic_files import disk_error, write_atomically, write_text
from harness.common.urls import Url
from harness.space import Resources
from harness.training.config.run_config import RunConfig
from harness.training.config.teacher_files import LOGITS_FILE
from harness.training.config.user_code import describe_exception
from harness.training.data.arrays import check_digest
from harness.training.data.data_facts import describe_part, describe_splits
from harness.training.data.pool import load_test, pool_index
from harness.training.errors import DataError, DivergenceError
from harness.training.metrics import Metrics, evaluate
from harness.training.replicates import Replicates
from harness.training.run import Run
from harness.training.teacher_logits import export_logits
from harness.tuning.failures import DIVERGED, OUT_OF_MEMORY
from harness.tuning.storage.sweep_folder import CHECKPOINT, LABEL_HISTORY, LABELS, MODEL, TRACEBACK
from harness.tuning.trial import EndAction
from harness.tuning.worker import checkpoint
from harness.tuning.worker.chunk_report import ChunkReport
from harness.tuning.worker.time_limit import TimeLimit, TimeLimitExceeded

if TYPE_CHECKING:
    from harness.tuning.worker.scratch import ScratchFolder

CHUNK_SECONDS = 0.5
UPLOAD_SHARE = 0.05
"""Largest share of a trial's time that goes into uploading its checkpoints."""

CUDA_CONTEXT_GIB = 0.8
"""GPU memory that CUDA holds for each process beside what torch allocates: 0.69 to 0.75 on an H100."""


def configure_process(resources: Resources, working_dir: str) -> None:
    """Set threads, working directory (if this node has it) and GPU memory limit of this worker process."""
    torch.set_num_threads(max(1, int(resources.cpu)))
    if os.path.isdir(working_dir):
        os.chdir(working_dir)
    gpu = resources.gpu or 0.0
    if 0 < gpu < 1 and torch.cuda.is_available():
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(max(0.01, gpu - CUDA_CONTEXT_GIB * 2**30 / total))


class TrialRunner:
    """Runner of one trial, a chunk at a time.

    Args:
        config: fields of `RunConfig`.
        location: the trial's folder, made when there is something to write; or its address in an object store.
        resources: limits of the trial.
        seeds: number of seeds, counted up from the configuration's. Metrics are means over them, labels are those of
            the first.
        at_end: what to do after the last epoch.
        keep_model: write the weights of the first seed's model at the end.
        data_digest: digest of the data that the trial has to read; empty: any.
    """

    def __init__(
        self,
        config: dict[str, Any],
        location: Path | Url,
        resources: Resources | None = None,
        seeds: int = 1,
        at_end: tuple[EndAction, ...] = (),
        keep_model: bool = False,
        data_digest: str = "",
    ) -> None:
        self.resources = resources or Resources()
        self.data_digest = data_digest
        self.at_end = at_end
        self.keep_model = keep_model
        self.seconds = 0.0
        self.runs: Replicates | None = None
        self.failure = self.traceback = ""
        self.unusable = False
        self.disk_error: OSError | None = None
        self.datasets: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.test: dict[str, float] = {}
        self.test_samples = 0
        self._config, self._seeds, self._halved = config, seeds, False
        self._curve: list[tuple[int, Metrics]] = []
        self._reported = 0
        self._checkpoint_seconds = self.resources.checkpoint_seconds
        self.scratch: ScratchFolder | None = None
        if isinstance(location, Url):
            from harness.tuning.worker import scratch  # pyarrow takes half a second to import

            self.scratch = scratch.ScratchFolder(location)
            try:
                self.scratch.download(config, seeds)
            except OSError as error:
                self.disk_error = error
            location = self.scratch.folder
        self.folder = location
        self._checkpoints = checkpoint.CheckpointWriter(location / CHECKPOINT)
        self.limit = TimeLimit(self.resources.limit_seconds, location)
        self.failure = self.limit.earlier_failure()
        if not self.failure and not self.disk_error:
            self.guarded(self._begin)
        self._saved_at = time.monotonic()

    @property
    def run(self) -> Run | None:
        """The run of the first seed."""
        return None if self.runs is None else self.runs.first

    @property
    def finished(self) -> bool:
        return self.runs is None or self.runs.done or bool(self.failure)

    def run_chunk(self) -> ChunkReport:
        """Train for about `CHUNK_SECONDS`, at least one epoch; after the last epoch, do what `at_end` names."""
        saved_at = self._saved_at
        self.guarded(self._train)
        if self.finished or self._saved_at != saved_at:
            self.upload()
        epochs, self._reported = self._curve[self._reported :], len(self._curve)
        datasets, self.datasets = self.datasets, []
        warnings, self.warnings = self.warnings, []
        return ChunkReport(
            epochs=epochs,
            failure=self.failure,
            traceback=self.traceback,
            unusable=self.unusable,
            finished=self.finished,
            seconds=self.seconds,
            datasets=datasets,
            warnings=warnings,
            disk_error=self.disk_error,
            test=self.test,
            test_samples=self.test_samples,
        )

    def guarded(self, work: Callable[[], None]) -> None:
        """Call `work` within the time limit; turn an exception into the trial's failure, its traceback into a file."""
        started = time.perf_counter()
        try:
            with self.limit.enforced(self.seconds):
                work()
        except (DivergenceError, TimeLimitExceeded) as error:
            self.failure = f"{DIVERGED}: {error}" if isinstance(error, DivergenceError) else str(error)
        except DataError as error:
            self.failure, self.unusable = str(error), not self._halved
        except Exception as error:
            self.disk_error = disk_error(error)
            if self.disk_error is None:
                kind = OUT_OF_MEMORY if is_out_of_memory(error) else type(error).__name__
                self.failure = f"{kind}: {error}"
                with suppress(OSError):
                    self.folder.mkdir(parents=True, exist_ok=True)
                    write_text(self.folder / TRACEBACK, traceback.format_exc())
                    self.traceback = TRACEBACK
        except (SystemExit, KeyboardInterrupt) as error:  # of a user's code: Ray would take it for its own end
            self.failure = describe_exception(error)
        out_of_memory = self.failure.startswith(OUT_OF_MEMORY)
        if out_of_memory:
            self._free_memory()
        self.seconds += time.perf_counter() - started
        if out_of_memory and self.resources.half_batch and not self._halved:
            self.failure = self.traceback = ""
            self.guarded(self._begin_with_half_batch)

    def upload(self) -> None:
        """Upload the trial's folder, if it is a scratch folder. A checkpoint that cannot be uploaded is a warning."""
        if self.scratch is None or self.disk_error:
            return
        began = time.monotonic()
        try:
            self._checkpoints.wait()
            self.scratch.upload()
        except OSError as error:
            if self.finished:
                self.disk_error = error
            else:
                self.warnings.append(f"{error.strerror}; a lost worker's trial would go on from an earlier checkpoint")
        seconds = time.monotonic() - began
        self._checkpoint_seconds = max(self.resources.checkpoint_seconds, seconds / UPLOAD_SHARE)

    def cleanup(self) -> None:
        """Delete the scratch folder."""
        with suppress(OSError):
            self._checkpoints.wait()
        if self.scratch is not None:
            self.scratch.delete()

    def _begin(self) -> None:
        try:
            config = RunConfig(**self._config)
        except ValidationError as error:  # a user's own method that this node cannot import
            raise DataError("; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())) from error
        if self.data_digest:
            check_digest(config, self.data_digest)
        self.runs = Replicates(config, self._seeds)
        self.datasets = describe_splits(self.runs.first.config, self.runs.first.splits)
        state, warnings = checkpoint.load(self._checkpoints.path)
        self.warnings += warnings
        if state is not None:
            if state["halved"]:
                self._halve_batch()
            self.runs.load_state_dict(state["runs"])
            self._curve = [(epoch, metrics) for epoch, metrics in state["curve"]]
            self.seconds = state["seconds"]

    def _halve_batch(self) -> None:
        for name in self._config.keys() & {"batch_size", "meta_batch_size"}:
            self._config = self._config | {name: max(1, self._config[name] // 2)}
        self._halved = True
        self.runs = Replicates(RunConfig(**self._config), self._seeds)

    def _begin_with_half_batch(self) -> None:
        before = self._config["batch_size"]
        self._halve_batch()
        self._checkpoints.discard()
        self._curve, self._reported = [], 0
        self.warnings.append(
            f"memory ran out at batch_size {before}: tried again, from its start, with {self._config['batch_size']}"
        )

    def _train(self) -> None:
        runs = self.runs
        if runs is None:
            return
        began = time.monotonic()
        while not runs.done and not self.failure:
            self.limit.check(self.seconds + time.monotonic() - began)
            metrics = runs.train_epoch()
            self._curve.append((runs.epoch, metrics))
            self.warnings += runs.pop_warnings()
            if time.monotonic() > began + CHUNK_SECONDS:
                break
        if runs.done:
            self._finish(runs.first)
        elif time.monotonic() - self._saved_at > self._checkpoint_seconds:
            curve = [*self._curve]
            state = {"runs": runs.state_dict(), "curve": curve, "seconds": self.seconds, "halved": self._halved}
            self._checkpoints.save(state, in_thread=runs.first.device.type == "cuda")
            self._saved_at = time.monotonic()

    def _finish(self, run: Run) -> None:
        if self.keep_model:
            write_atomically(self.folder / MODEL, partial(_save_weights, run))
        save_labels(run, self.folder)
        if "export_logits" in self.at_end:
            export_logits(run.model, run.images, run.config.dataset, self.folder / LOGITS_FILE)
        if "evaluate_test" in self.at_end:
            self.evaluate_test(run)
        self._checkpoints.discard()

    def evaluate_test(self, run: Run) -> None:
        """Measure the model on the test part, which is never read before the last epoch."""
        assert run.done, f"expected a run after its last epoch, got one at epoch {run.epoch}"
        test = load_test(run.config).to(run.device)
        self.test, self.test_samples = evaluate(run.model, test, "test"), len(test)
        self.datasets.append(describe_part(run.config, "test", test, test.targets))

    def _free_memory(self) -> None:
        """Drop all tensors: the worker lives on, and other trials may share the device."""
        self.runs = None
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def save_labels(run: Run, folder: Path) -> None:
    """Write the final labels of a run, and their history if they were learned.

    Beside the labels: the given ones they started from, the true ones they are measured by, the index of each image in
    the data set, and the names of the classes.
    """
    train = run.splits.train
    arrays = {
        "labels": run.soft_labels.float().cpu().numpy(),
        "given": run.splits.noisy.cpu().numpy(),
        "truth": train.targets.cpu().numpy(),
        "index": pool_index(run.config)[train.index.cpu().numpy()],
        "class_names": np.array(train.class_names),
    }
    write_atomically(folder / LABELS, lambda temporary: np.savez_compressed(temporary, **arrays))
    if run.label_history is not None:
        history = run.label_history.arrays(train)
        write_atomically(folder / LABEL_HISTORY, lambda temporary: np.savez_compressed(temporary, **history))


def is_out_of_memory(error: Exception) -> bool:
    """Whether the memory of the host or of a device ran out; torch says so in several ways."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and re.search(r"out of memory|can't allocate memory|ALLOC_FAILED", str(error)) is not None
    )


def _save_weights(run: Run, path: Path) -> None:
    """Save through an open file, which keeps the disk's own OSError as the cause of torch's."""
    with path.open("wb") as file:
        torch.save({name: tensor.cpu() for name, tensor in run.model.state_dict().items()}, file)
