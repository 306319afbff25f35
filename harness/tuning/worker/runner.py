"""One trial on a worker: its runs, one a seed, the folder it leaves things in, and its failures told as results.

A trial that may be long writes a checkpoint into its own folder, from where any later worker takes it up: after a lost
worker as after a lost driver. What was measured up to it is told again, since nobody may have heard of it. A checkpoint
or a label file is written whole or not at all; where a checkpoint is damaged all the same, the one before it is taken,
and that is told. Where the runs folder lies in a store, the folder here is a scratch one, and what it goes on from and
leaves is carried (`scratch`). Knows no Ray.

Three failures are told apart from the rest: a run over its time limit, which may have had to be ended with its worker
(`limit`); memory that ran out, which is given back to whoever shares the device; and a disk that is full, which is no
fault of the trial's: its driver is told to stop, and the trial is taken up when there is space.
"""

import errno
import gc
import os
import re
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.common.atomic_files import disk_error, write_atomically, write_text
from harness.common.urls import Url, is_url
from harness.training.config.run_config import RunConfig
from harness.training.data import pool_places
from harness.training.data.description import seen
from harness.training.metrics import Metrics
from harness.training.replicates import Replicates
from harness.training.run import Diverged, Run
from harness.tuning.failures import DIVERGED, OUT_OF_MEMORY
from harness.tuning.storage.sweep_folder import CHECKPOINT, LABEL_HISTORY, LABELS, MODEL, FolderError
from harness.tuning.worker import checkpoint
from harness.tuning.worker.options import NONE, WorkerOptions
from harness.tuning.worker.time_limit import Limit, TimeLimitExceeded

if TYPE_CHECKING:
    from harness.tuning.worker.scratch import Scratch

REPORT_SECONDS = 0.5
CARRYING = 0.05
"""The share of a trial's time, at most, that goes into carrying its checkpoints to a store."""

CUDA_GIB = 0.8
"""What CUDA holds of a device for each process, beside what torch allocates: 0.69 to 0.75 on an H100."""


def settle(terms: WorkerOptions) -> None:
    """Make a process ready for trials."""
    torch.set_num_threads(terms.threads)
    if os.path.isdir(terms.home):
        os.chdir(terms.home)
    if 0 < terms.gpu < 1 and torch.cuda.is_available():
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(max(0.01, terms.gpu - CUDA_GIB * 2**30 / whole))


def at(place: str) -> "tuple[Path, Scratch | None]":
    """The folder of the trial whose place its driver names, and what carries it there, where that is a store."""
    if not is_url(place):
        return Path(place), None
    from harness.tuning.worker.scratch import Scratch  # pyarrow takes half a second to import

    scratch = Scratch(Url.parse(place))
    return scratch.folder, scratch


class TrialRunner:
    """A trial under way.

    Args:
        config: fields of `RunConfig`.
        folder: the trial's own; made when there is something to put there.
        seeds: how many, from the configuration's own up; metrics are their means, labels those of the first.
        keep_model: leave the weights of that first run, too.
        terms: what it holds to.
        scratch: carries its folder, where that is not the trial's place.
    """

    def __init__(
        self,
        config: dict[str, Any],
        folder: Path,
        seeds: int = 1,
        keep_model: bool = False,
        terms: WorkerOptions = NONE,
        scratch: "Scratch | None" = None,
    ) -> None:
        self.folder = folder
        self.terms = terms
        self.scratch = scratch
        self.limit = Limit(terms.limit_seconds, folder)
        self.keep_model = keep_model
        self.seconds = 0.0
        self.runs: Replicates | None = None
        self._curve: list[tuple[int, Metrics]] = []
        self._told = 0
        self.data: list[dict[str, Any]] = []
        self.remarks: list[str] = []
        self.trouble: tuple[Any, ...] = ()
        self._pause = terms.checkpoint_seconds
        if scratch is not None:
            self._fetch(scratch, config, seeds)
        self.failure = self.limit.was_hit()
        self._config, self._seeds, self._halved = config, seeds, False
        if not self.failure and not self.trouble:
            self.attempt(self._begin)
        self.saved_at = time.monotonic()

    @property
    def run(self) -> Run | None:
        """The run of the first seed, or of the only one."""
        return None if self.runs is None else self.runs.first

    @property
    def finished(self) -> bool:
        return self.runs is None or self.runs.done or bool(self.failure)

    def advance(self) -> dict[str, Any]:
        """Train for about `REPORT_SECONDS`, at least one epoch.

        Returns:
            `epochs`: (number, metrics) of each since the last call, of a first call since the start; `failure`: a
            reason, or empty; `busy`: seconds of the trial so far, with its set-up; `finished`: whether this was the
            last; `data`: what the run sees, and `remarks`: what a user should know of its files, both told once;
            `trouble`: the arguments of an OSError, where the disk took nothing more and the driver has to stop.
        """
        saved = self.saved_at
        self.attempt(self._train)
        if self.finished or self.saved_at != saved:
            self.send()
        epochs, self._told = self._curve[self._told :], len(self._curve)
        data, self.data = self.data, []
        remarks, self.remarks = self.remarks, []
        return {
            "epochs": epochs,
            "failure": self.failure,
            "busy": self.seconds,
            "finished": self.finished,
            "data": data,
            "remarks": remarks,
            "trouble": self.trouble,
        }

    def save(self, path: Path) -> None:
        if self.runs is not None:
            state = {"runs": self.runs.state_dict(), "curve": self._curve, "seconds": self.seconds}
            checkpoint.save(path, state | {"halved": self._halved})

    def restore(self, path: Path) -> None:
        """Go on from the last whole checkpoint; from the start where there is none, which costs time and no more."""
        found = checkpoint.load(path)
        self.remarks += found.remarks
        if self.runs is not None and found.state is not None:
            if found.state["halved"] and not self._halved:
                self._halve()
            self.runs.load_state_dict(found.state["runs"])
            self._curve = [(epoch, metrics) for epoch, metrics in found.state["curve"]]
            self.seconds = found.state["seconds"]

    def send(self) -> None:
        """Have at the trial's place what is in its folder. A checkpoint that cannot be sent is only missed later."""
        if self.scratch is None or self.trouble:
            return
        began = time.monotonic()
        try:
            self.scratch.send()
        except FolderError as error:
            if self.finished:
                self.trouble = (errno.EIO, str(error), str(self.scratch.url))
            else:
                self.remarks.append(f"{error}; a lost worker's trial would go on from an earlier checkpoint")
        self._pause = max(self.terms.checkpoint_seconds, (time.monotonic() - began) / CARRYING)

    def leave(self) -> None:
        """Take away what was here only for the time of the run."""
        if self.scratch is not None:
            self.scratch.leave()

    def _fetch(self, scratch: "Scratch", config: dict[str, Any], seeds: int) -> None:
        try:
            scratch.fetch(config, seeds)
        except FolderError as error:
            self.trouble = (errno.EIO, str(error), str(scratch.url))
        except OSError as error:  # of this node's own disk
            self.trouble = (error.errno, error.strerror, error.filename)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def _begin(self) -> None:
        self.runs = Replicates(RunConfig(**self._config), self._seeds)
        self.data = seen(self.runs.first.config, self.runs.first.parts)
        self.restore(self._checkpoint)

    def _halve(self) -> None:
        """Take half the batch from now on, in runs that have not begun."""
        for name in ("batch_size", "meta_batch_size"):
            self._config = self._config | {name: max(1, self._config[name] // 2)}
        self.runs = Replicates(RunConfig(**self._config), self._seeds)
        self._halved = True

    def _begin_with_half(self) -> None:
        whole = self._config["batch_size"]
        self._halve()
        checkpoint.discard(self._checkpoint)
        self._curve, self._told = [], 0
        self.remarks.append(
            f"memory ran out at batch_size {whole}: tried again, from its start, with {self._config['batch_size']}"
        )

    def _train(self) -> None:
        runs = self.runs
        if runs is None:
            return
        began = time.monotonic()
        while not runs.done:
            self.limit.check(self.seconds + time.monotonic() - began)
            metrics = runs.train_epoch()
            self._curve.append((runs.epoch, metrics))
            if time.monotonic() > began + REPORT_SECONDS:
                break
        if runs.done:
            if self.keep_model:
                weights = {name: tensor.cpu() for name, tensor in runs.first.model.state_dict().items()}
                write_atomically(self.folder / MODEL, lambda fresh: _save(weights, fresh))
            self._save_labels(runs.first)
        elif time.monotonic() - self.saved_at > self._pause:
            self.save(self._checkpoint)
            self.saved_at = time.monotonic()

    def _save_labels(self, run: Run) -> None:
        """The labels at the end, and how they came there: those of one run, the first of several seeds.

        Beside the labels stand the given ones they started from, the true ones they are measured by, and where in the
        data set each image is found. The course is left only where labels move.
        """
        train = run.parts.train
        ended = {
            "labels": run.soft_labels.float().cpu().numpy(),
            "given": run.parts.noisy.cpu().numpy(),
            "truth": train.targets.cpu().numpy(),
            "index": pool_places(run.config)[train.index.cpu().numpy()],
        }
        write_atomically(self.folder / LABELS, lambda fresh: np.savez_compressed(fresh, **ended))
        if run.course is not None:
            course = run.course.arrays(train)
            write_atomically(self.folder / LABEL_HISTORY, lambda fresh: np.savez_compressed(fresh, **course))
        checkpoint.discard(self._checkpoint)

    def attempt(self, work: Callable[[], None]) -> None:
        """A failure is a result: its reason goes to the driver, its traceback into the trial's folder."""
        started = time.perf_counter()
        try:
            with self.limit.watching(self.seconds):
                work()
        except (Diverged, TimeLimitExceeded) as error:
            self.failure = f"{DIVERGED}: {error}" if isinstance(error, Diverged) else str(error)
        except Exception as error:
            trouble = disk_error(error)
            if trouble is not None:
                self.trouble = (trouble.errno, trouble.strerror, trouble.filename)
            else:
                self._note(error)
        if self.failure.startswith(OUT_OF_MEMORY):
            self._give_back()
        self.seconds += time.perf_counter() - started
        if self.failure.startswith(OUT_OF_MEMORY) and self.terms.half_batch and not self._halved:
            self.failure = ""
            self.attempt(self._begin_with_half)

    def _note(self, error: Exception) -> None:
        kind = OUT_OF_MEMORY if is_out_of_memory(error) else type(error).__name__
        self.failure = f"{kind}: {error}"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / "error.txt", traceback.format_exc())

    def _give_back(self) -> None:
        """Let go of all that the trial held: its worker lives on, and others may share the device."""
        self.runs = None
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _save(state: Any, path: Path) -> None:
    """As `torch.save` does into a file of ours: a full disk's own answer is then among what led to its error."""
    with path.open("wb") as file:
        torch.save(state, file)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, the host's or a device's, for which torch has several ways to say so."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and re.search(r"out of memory|can't allocate memory|ALLOC_FAILED", str(error)) is not None
    )
