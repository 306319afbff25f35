"""A sweep's folder: what lies where, and which one driver may write there.

runs/NAME/  space.yaml  provenance.json  study.journal  spool/  trials/N/  summary.json
            confirm/  confirm.json  distill/
"""

import contextlib
import difflib
import fcntl
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from harness.common.atomic_files import disk_error
from harness.common.errors import HarnessError
from harness.common.json_files import read_json
from harness.common.urls import Url, is_url
from harness.tuning.storage import workspace

LABELS = "labels.npz"
LABEL_HISTORY = "label_history.npz"
MODEL = "model.pt"
CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
HUNG = "hung.txt"
"""Where a worker was when it was ended for its time limit; see `harness.tuning.worker.time_limit`."""
HUNG_TOLD = "time_limit.txt"
"""The same, once it was told."""


class FolderError(HarnessError):
    """The folder cannot be used; says why and what to do."""


class DiskError(FolderError):
    """The disk takes nothing more. What was told before is kept, and the same command goes on once there is space."""

    exit_code = 3


class SweepFolder:
    """The paths of a sweep, and the lock that its driver holds while it runs."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    @property
    def space(self) -> Path:
        return self.path / "space.yaml"

    @property
    def provenance(self) -> Path:
        return self.path / "provenance.json"

    @property
    def journal(self) -> Path:
        return self.path / "study.journal"

    @property
    def spool(self) -> Path:
        return self.path / "spool"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def confirmation(self) -> Path:
        return self.path / "confirm"

    @property
    def teachers(self) -> Path:
        return self.path / "distill"

    @property
    def findings(self) -> Path:
        return self.path / "confirm.json"

    def trial(self, number: int) -> Path:
        return self.trials / str(number)

    def forget(self, number: int) -> None:
        """Take away what a trial left, so that it starts from the beginning."""
        for name in (CHECKPOINT, PREVIOUS, "error.txt", HUNG, HUNG_TOLD, LABELS, LABEL_HISTORY, MODEL):
            workspace.remove(self.trial(number) / name)

    def __enter__(self) -> Self:
        """Create the folder if need be and take its lock.

        Raises:
            FolderError: another driver holds it, it cannot be written, or a link in it leads out of it.
        """
        check_links(self.path)
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / "driver.lock", "a+")
        except OSError as error:
            raise FolderError(
                f"{self.path}: expected a folder that can be written, got: {error.strerror}; "
                "choose another with --runs-dir"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            lock.close()
            raise FolderError(
                f"{self.path}: this sweep is being run by {holder}; wait for its end, or use another folder"
            ) from None
        lock.truncate(0)
        with suppress(OSError):  # a full disk: what is written next will say so
            print(f"process {os.getpid()} on {socket.gethostname()}", file=lock, flush=True)
        self._lock = lock
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it.

        Raises:
            DiskError: what ended the work within was that the disk took nothing more.
        """
        if self._lock is not None:
            with suppress(OSError):
                self._lock.truncate(0)
                self._lock.close()
            self._lock = None
        trouble = disk_error(error)
        if trouble is not None and is_url(str(trouble.filename)):
            raise DiskError(f"{trouble.strerror}; the same command goes on once it is there") from error
        if trouble is not None:
            where = f" ({trouble.filename})" if trouble.filename else ""
            raise DiskError(
                f"{self.path}: expected a disk that takes what is written, got: {trouble.strerror}{where}; make space, "
                "and the same command goes on"
            ) from error


def label_files(trial: Path) -> tuple[str, ...]:
    """What a run that ended left of its labels in its folder."""
    workspace.bring(trial)
    return tuple(str(trial / name) for name in (LABELS, LABEL_HISTORY) if (trial / name).exists())


def tracked_on(path: Path) -> str | None:
    """The server that the search named, but for SQLite, whose file may have moved with the runs folder."""
    summary = read_json(path / "summary.json") or {}
    uri = (summary.get("mlflow") or {}).get("tracking_uri")
    return None if uri is None or uri.startswith("sqlite:") else uri


def find_sweep(runs_dir: Path, name: str, argument: str = "NAME") -> Path:
    """The folder of the sweep `name`; errors say that `argument` named it.

    Raises:
        FolderError: there is none; names the nearest.
    """
    names = sorted(file.parent.name for file in runs_dir.glob("*/study.journal"))
    if name in names:
        check_inside(runs_dir, name, argument)
        return runs_dir / name
    raise no_such(runs_dir, name, names, argument)


def no_such(runs_dir: Path | Url, name: str, names: Sequence[str], argument: str = "NAME") -> FolderError:
    """The words for a sweep that is not among `names`, with the nearest of them."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
    remedy = f"did you mean {' or '.join(near)}?" if near else "it holds none; run a search, or say --runs-dir"
    where = workspace.shown(runs_dir) if isinstance(runs_dir, Path) else runs_dir
    return FolderError(f"{argument}: expected a sweep in {where}/, got '{name}'; {remedy}")


def check_inside(runs_dir: Path, name: str, argument: str) -> None:
    """What is written under a name in the runs folder is to land there.

    Raises:
        FolderError: `name` is a link there that leads out of it.
    """
    path = runs_dir / name
    if path.is_symlink() and path.resolve().parent != runs_dir.resolve():
        raise FolderError(
            f"{argument}: expected a folder in {runs_dir}/, got '{name}', a link to {path.resolve()}; "
            f"say --runs-dir {path.resolve().parent}"
        )


def check_links(folder: Path) -> None:
    """What is written into a sweep's folder is to land there: nothing in it may be a link out of it.

    Raises:
        FolderError: something is.
    """
    home = folder.resolve()
    for place in (folder, folder / "spool", folder / "trials"):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
            for entry in entries:
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(home):
                    raise FolderError(
                        f"{entry.path}: expected a file or folder of the sweep, got a link to "
                        f"{Path(entry.path).resolve()}; remove it"
                    )
