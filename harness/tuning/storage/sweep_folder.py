"""A sweep's folder: the paths in it, and the lock that its driver holds.

runs/NAME/  space.yaml  data.json  provenance.json  study.journal  spool/  trials/N/  summary.json
            confirm/  confirm.json  distill/  labels.html
"""

import difflib
import os
import re
import shlex
import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.common.atomic_files import disk_error
from harness.common.errors import HarnessError
from harness.common.file_lock import file_lock
from harness.common.urls import is_url
from harness.results import SweepSummary

if TYPE_CHECKING:
    from harness.tuning.storage.workspace import Workspace

LABELS = "labels.npz"
LABEL_HISTORY = "label_history.npz"
MODEL = "model.pt"
CHECKPOINT = "checkpoint.pt"
PREVIOUS_CHECKPOINT = "checkpoint.previous.pt"
TRACEBACK = "error.txt"
HUNG = "hung.txt"
"""Stacks of a process that was ended at its time limit (`worker.time_limit`)."""
HUNG_REPORTED = "time_limit.txt"
"""New name of `HUNG` once its trial has been failed."""
LENGTHS = "snapshot.json"
"""File with the lengths of journal and event log at the last snapshot, in the store and in the working copy."""
ADDRESS_FILE = "runs-dir.url"
"""File in a working copy with the address that it is a copy of."""


class FolderError(HarnessError):
    """A folder that cannot be used; the message says why and what to do."""


class DiskError(FolderError):
    """A disk that is full or broken. Nothing finished is lost, and the same command goes on once there is space."""

    exit_code = 3


class SweepFolder:
    """Paths of a sweep. As a context manager: the driver's lock on it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.space = self.path / "space.yaml"
        self.provenance = self.path / "provenance.json"
        self.journal = self.path / "study.journal"
        self.spool = self.path / "spool"
        self.trials = self.path / "trials"
        self.summary = self.path / "summary.json"
        self._lock = ExitStack()
        self._made: list[Path] = []  # by `__enter__`, itself first; also if that was empty

    def trial(self, number: int) -> Path:
        return self.trials / str(number)

    def remove_trial_files(self, number: int, workspace: "Workspace") -> None:
        """Remove the files of a trial, so that it starts from the beginning."""
        for name in (CHECKPOINT, PREVIOUS_CHECKPOINT, TRACEBACK, HUNG, HUNG_REPORTED, LABELS, LABEL_HISTORY, MODEL):
            workspace.remove(self.trial(number) / name)

    def discard_if_new(self) -> bool:
        """Remove the folder if `__enter__` has made it, with those above it; returns whether it has."""
        if self._made:
            shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):  # another sweep's files are there by now
            for folder in self._made[1:]:
                folder.rmdir()
        return bool(self._made)

    def __enter__(self) -> Self:
        """Create the folder if need be, and take its lock.

        Raises:
            FolderError: another driver holds the lock, the folder cannot be written, or a link leads out of it.
        """
        check_links(self.path)
        lock = self.path / "driver.lock"
        try:
            self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            if not self._made and all(file.name == LENGTHS for file in self.path.iterdir()):
                self._made = [self.path]
            self.trials.mkdir(parents=True, exist_ok=True)
            held = self._lock.enter_context(file_lock(lock))
        except OSError as error:
            raise FolderError(
                f"{self.path}: expected a folder that can be written, got: {error.strerror}; "
                "choose another with --runs-dir"
            ) from error
        if not held:
            self._lock.close()
            holder = lock.read_text(encoding="utf-8").strip() or "another process"
            raise FolderError(
                f"{self.path}: this sweep is being run by {holder}; wait for its end, or use another folder"
            )
        with suppress(OSError):  # the disk is full: the next write reports it
            lock.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Release the lock; raise DiskError if a full or broken disk ended the block."""
        with suppress(OSError):
            (self.path / "driver.lock").write_text("", encoding="utf-8")
        self._lock.close()
        from_disk = disk_error(error)
        if from_disk is not None and is_url(str(from_disk.filename)):
            raise DiskError(f"{from_disk.strerror}; the same command goes on once it is there") from error
        if from_disk is not None:
            where = f" ({from_disk.filename})" if from_disk.filename else ""
            raise DiskError(
                f"{self.path}: expected a disk with space, got: {from_disk.strerror}{where}; make space, and the same "
                "command goes on"
            ) from error


def label_files(trial: Path, workspace: "Workspace") -> tuple[str, ...]:
    """The label files that a finished run left in its folder."""
    workspace.fetch(trial)
    return tuple(str(trial / name) for name in (LABELS, LABEL_HISTORY) if (trial / name).exists())


def recorded_tracking_uri(path: Path) -> str | None:
    """The tracking server of the search in this folder; None for SQLite, whose file may have moved with the folder."""
    summary = SweepSummary.load_or_none(path)
    uri = summary.mlflow.tracking_uri if summary is not None and summary.mlflow is not None else None
    return None if uri is None or uri.startswith("sqlite:") else uri


def display_name(runs_dir: Path) -> str:
    """A local runs folder as a user names it: its path, or the address it is a copy of."""
    with suppress(OSError):
        return (runs_dir / ADDRESS_FILE).read_text(encoding="utf-8").strip()
    return str(runs_dir)


def find_sweep(runs_dir: Path, name: str, argument: str = "NAME") -> Path:
    """The folder of the sweep `name`, which `argument` names; raise FolderError with similar names if there is none."""
    names = sorted(file.parent.name for file in runs_dir.glob("*/study.journal"))
    if name not in names:
        raise no_such_sweep(display_name(runs_dir), name, names, argument)
    check_inside(runs_dir, name, argument)
    check_links(runs_dir / name)
    return runs_dir / name


def no_such_sweep(runs_dir: str, name: str, names: Sequence[str], argument: str = "NAME") -> FolderError:
    """The error for a sweep that is not among `names`."""
    similar = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
    remedy = f"did you mean {' or '.join(similar)}?" if similar else "it holds none; run a search, or pass --runs-dir"
    return FolderError(f"{argument}: expected a sweep in {runs_dir}/, got '{name}'; {remedy}")


def is_sweep_name(name: str) -> bool:
    """Whether `name` can be the name of a sweep's folder."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) is not None


def check_inside(runs_dir: Path, name: str, argument: str) -> None:
    """Raise FolderError if `name` is a link that leads out of the runs folder."""
    path = runs_dir / name
    if path.is_symlink() and path.resolve().parent != runs_dir.resolve():
        raise FolderError(
            f"{argument}: expected a folder in {runs_dir}/, got '{name}', a link to {path.resolve()}; "
            f"pass --runs-dir {shlex.quote(str(path.resolve().parent))}"
        )


def check_links(folder: Path) -> None:
    """Raise FolderError if a link in a sweep's folder leads out of it: writes would land elsewhere."""
    root = folder.resolve()
    for entry in [*folder.glob("*"), *folder.glob("spool/*"), *folder.glob("trials/*")]:
        if entry.is_symlink() and not entry.resolve().is_relative_to(root):
            raise FolderError(
                f"{entry}: expected a file or folder of the sweep, got a link to {entry.resolve()}; remove it"
            )
