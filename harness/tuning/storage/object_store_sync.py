"""Snapshots of a sweep's folder in an object store: whole files, every `SNAPSHOT_SECONDS` and at the end of a command.

The journal and the spool must agree: a spool ahead of the journal would show trials that are run again, one behind it
would lack their epochs for good. Two uploads are never made at once, but both files only grow. So a snapshot uploads

    1. study.journal    2. spool/events.log    3. snapshot.json    4. every other file that changed

where snapshot.json holds the length of the first two at one moment. A reader cuts both to these lengths. A kill between
two uploads leaves them longer than the former snapshot.json says, never shorter, and that snapshot is what is read. The
other files are listed before the moment and uploaded after it, so the result of a run is never there without its
records. What a killed driver had not uploaded is run again.

Files of a trial are uploaded by its worker (`worker.scratch`); the driver downloads them when the trial has ended.

When a command opens its working copy again, the journal and the spool say which side is newer: one that continues the
other wins. If neither does, another machine went on from the last snapshot, and the store wins. If the store lost what
this copy had uploaded, the command is refused.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

from harness.common.atomic_files import write_atomically, write_text
from harness.common.urls import Url
from harness.tracking.spool import event_log
from harness.tuning.storage.lease import RENEW_SECONDS, Lease
from harness.tuning.storage.object_store import FileStat, Store, StoreError, in_parallel
from harness.tuning.storage.sweep_folder import CHECKPOINT, PREVIOUS_CHECKPOINT, DiskError, FolderError

SNAPSHOT_SECONDS = 30.0
JOURNAL, SPOOL = "study.journal", f"spool/{event_log.FILE}"
LENGTHS = "snapshot.json"
SYNC_STATE = ".store.json"
"""In the working copy: the lengths last uploaded or downloaded, and the state of each file on both sides then."""
NOT_SYNCED = frozenset({JOURNAL, SPOOL, LENGTHS, "driver.lock", "report.error.txt", CHECKPOINT, PREVIOUS_CHECKPOINT})

Moment = tuple[bytes, bytes]
"""Content of the journal and of the spool, whole lines, as of one moment."""


class ObjectStoreSync:
    """Synchronises the sweep `name` of a store with its working copy below `runs_dir`."""

    def __init__(self, store: Store, runs_dir: Path, name: str) -> None:
        self.store = store
        self.name = name
        self.folder = runs_dir / name
        self._lock = threading.RLock()
        self._lengths = (0, 0)
        self._synced: dict[str, tuple[FileStat | None, FileStat]] = {}  # None: uploaded, not looked at since

    @property
    def url(self) -> Url:
        return self.store.url / self.name

    def pull(self) -> None:
        """Download the latest snapshot, unless the working copy continues it.

        Raises:
            FolderError: the store lost what this working copy had uploaded.
        """
        self._load_state()
        listed = self.store.list_files(self.name)
        if self._lengths[0] and JOURNAL not in listed:
            raise FolderError(
                f"{self.url}: expected the sweep that {self.folder} is a copy of, found no {JOURNAL}; remove that "
                "folder to begin anew, or choose another --name"
            )
        remote, local = self._remote_moment(listed), self._local_moment()
        if not _continues(local, remote):
            uploaded = local[0][: self._lengths[0]], local[1][: self._lengths[1]]
            if not _continues(remote, uploaded):
                raise FolderError(
                    f"{self.url}: expected what was uploaded from {self.folder}, got something else: another driver "
                    "wrote over it; remove that folder to go on with what the store holds"
                )
            for name, content in zip((JOURNAL, SPOOL), remote, strict=True):
                write_atomically(self.folder / name, partial(Path.write_bytes, data=content))
            for cursor in () if _continues(remote, local) else (self.folder / "spool").glob("cursor-*.json"):
                cursor.unlink()  # a position in the former spool; sending its records again does no harm
        self._lengths = len(remote[0]), len(remote[1])
        for name in self._synced.keys() - listed.keys():
            del self._synced[name]
            (self.folder / name).unlink(missing_ok=True)
        self._download(listed)

    def fetch(self, folder: str) -> None:
        """Download what workers left in `folder`; a store that fails raises the OSError of a broken disk."""
        try:
            listed = self.store.list_files(f"{self.name}/{folder}")
            self._download({f"{folder}/{name}": stat for name, stat in listed.items()})
        except StoreError as error:
            raise error.as_os_error() from error

    def remove(self, name: str) -> None:
        """Remove a file from the store."""
        self.store.remove([f"{self.name}/{name}"])
        with self._lock:
            self._synced.pop(name, None)

    def snapshot(self, *, trials: bool = False) -> None:
        """Upload what changed; with `trials` also files that the driver left in trial folders."""
        with self._lock:
            files = dict(self._local_files(trials))
            moment = self._local_moment()
            lengths = len(moment[0]), len(moment[1])
            if lengths != self._lengths:
                if not any(self._lengths):
                    self._write_lengths((0, 0))  # else a kill before the third upload would leave no snapshot.json
                for name, content in zip((JOURNAL, SPOOL), moment, strict=True):
                    self.store.write(f"{self.name}/{name}", content)
                self._write_lengths(lengths)
                self._lengths = lengths
            for name, stat in files.items():
                if self._synced.get(name, (None, None))[1] != stat:
                    with suppress(FileNotFoundError):
                        self.store.upload(f"{self.name}/{name}", self.folder / name)
                        self._synced[name] = None, stat
            self._save_state()

    def _write_lengths(self, lengths: tuple[int, int]) -> None:
        content = json.dumps(dict(zip((JOURNAL, SPOOL), lengths, strict=True)))
        self.store.write(f"{self.name}/{LENGTHS}", content.encode())

    def _download(self, listed: dict[str, FileStat]) -> None:
        """Download those of the listed files that changed since they were last synchronised."""

        def download(name: str) -> None:
            file = _inside(self.folder, name)
            with suppress(FileNotFoundError):  # removed meanwhile
                self.store.download(f"{self.name}/{name}", file)
                with self._lock:
                    self._synced[name] = listed[name], _stat(file)

        with self._lock:
            current = {name: stat for name, (stat, _) in self._synced.items() if (self.folder / name).exists()}
        in_parallel(download, [name for name, stat in listed.items() if _is_synced(name) and current.get(name) != stat])
        self._save_state()

    def _remote_moment(self, listed: dict[str, FileStat]) -> Moment:
        """The latest snapshot; without snapshot.json (a folder that was copied there) the whole files."""
        lengths: dict[str, int] = {}
        if LENGTHS in listed:  # read first: the files may only get longer meanwhile
            lengths = json.loads(self.store.read(f"{self.name}/{LENGTHS}"))
        journal, spool = (self._remote_content(name, lengths.get(name)) for name in (JOURNAL, SPOOL))
        return journal, spool

    def _remote_content(self, name: str, length: int | None) -> bytes:
        try:
            content = self.store.read(f"{self.name}/{name}")
        except FileNotFoundError:
            content = b""
        if length is not None and len(content) < length:
            raise FolderError(
                f"{self.url}/{name}: expected at least {length} bytes, got {len(content)}; put a copy back, "
                "or remove the sweep there to begin anew"
            )
        return _whole_lines(content[:length])

    def _local_moment(self) -> Moment:
        """The driver writes journal and spool in turn: if the spool kept its size while the journal was read, nothing
        was written to the spool meanwhile."""
        while True:
            size = self._size(SPOOL)
            journal = self._content(JOURNAL)
            if self._size(SPOOL) == size:
                return _whole_lines(journal), _whole_lines(self._content(SPOOL)[:size])

    def _content(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return b""

    def _size(self, name: str) -> int:
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    def _local_files(self, trials: bool) -> Iterator[tuple[str, FileStat]]:
        for home, folders, files in os.walk(self.folder):
            skipped = "trials" if not trials and home == str(self.folder) else ""
            folders[:] = [folder for folder in folders if folder[0] != "." and folder != skipped]
            for file in files:
                path = Path(home, file)
                name = path.relative_to(self.folder).as_posix()
                if _is_synced(name):
                    with suppress(FileNotFoundError):
                        yield name, _stat(path)

    def _load_state(self) -> None:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            state = json.loads((self.folder / SYNC_STATE).read_text())
            self._lengths = int(state["lengths"][0]), int(state["lengths"][1])
            self._synced = {
                name: (remote and FileStat(*remote), FileStat(*local))
                for name, (remote, local) in state["files"].items()
            }

    def _save_state(self) -> None:
        with self._lock:
            write_text(self.folder / SYNC_STATE, json.dumps({"lengths": self._lengths, "files": self._synced}))


class Snapshots:
    """The snapshots of a driver that holds a lease; one that fails is tried again."""

    def __init__(self, sync: ObjectStoreSync, lease: Lease) -> None:
        self.poll_seconds = min(SNAPSHOT_SECONDS, RENEW_SECONDS / 2)
        self._sync = sync
        self._lease = lease
        self._due = 0.0
        self._failure: FolderError | None = None

    def take_if_due(self) -> None:
        """Renew the lease and take a snapshot, each if it is time to; interrupt the driver if the lease is lost."""
        try:
            if self._failure is None:
                self._lease.renew()
                if time.monotonic() >= self._due:
                    self._sync.snapshot()
                    self._due = time.monotonic() + SNAPSHOT_SECONDS
        except StoreError:  # away: `take_last` reports it, if it still is then
            pass
        except FolderError as error:
            self._failure = error
            os.kill(os.getpid(), signal.SIGINT)

    def take_last(self) -> None:
        """Upload what the driver left. A failure is raised, or printed if another error is on its way."""
        other_error = sys.exception()
        if self._failure is not None:
            raise self._failure
        try:
            self._lease.check()
            self._sync.snapshot(trials=True)
        except StoreError as error:
            message = (
                f"{error}; what is new is kept in {self._sync.folder}, and the same command on this machine goes on"
            )
            if other_error is None:
                raise DiskError(message) from error
            print(message, file=sys.stderr)


def _continues(longer: Moment, shorter: Moment) -> bool:
    return longer[0].startswith(shorter[0]) and longer[1].startswith(shorter[1])


def _is_synced(name: str) -> bool:
    """Whether a file belongs to the sweep, rather than to Ray, the MLflow writer or this copy."""
    parts = PurePosixPath(name).parts
    if any(part.startswith(".") for part in parts) or not NOT_SYNCED.isdisjoint((name, parts[-1])):
        return False
    return parts[0] != "spool" and not (parts[0] == "trials" and len(parts) == 2)


def _inside(folder: Path, name: str) -> Path:
    """The path of a file of the store; FolderError if its name leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise FolderError(f"{name!r}: expected a file of the sweep in its store, got a name that leads out of it")
    return folder.joinpath(*parts)


def _stat(file: Path) -> FileStat:
    stat = file.stat()
    return FileStat(stat.st_size, stat.st_mtime_ns)


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
