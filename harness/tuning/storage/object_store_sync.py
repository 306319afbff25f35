"""Snapshots of a sweep's folder in an object store: whole files, regularly and at the end of a command.

Journal and event log must be of one moment. An event log ahead of the journal would show trials that are run again; one
behind it would never get their epochs. Two files cannot be uploaded at once, but both only grow. So a snapshot uploads

    1. study.journal    2. spool/events.log    3. snapshot.json    4. every other file that changed

where snapshot.json holds the lengths of the first two at one moment, and a reader cuts both to these lengths. The other
files are listed before that, so the result of a run is never in the store without its records. Those of a trial are
uploaded by its worker (`worker.scratch`); the driver downloads them when the trial has ended.

A downloaded file gets the store's time of its last change, by which it is known to be the same.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from harness.common.atomic_files import write_bytes
from harness.tracking.spool import event_log
from harness.tuning.storage import lease
from harness.tuning.storage.object_store import FileStat, Store, in_parallel, store_errors_as_disk_errors
from harness.tuning.storage.sweep_folder import CHECKPOINT, LENGTHS, PREVIOUS_CHECKPOINT, FolderError

JOURNAL, SPOOL = "study.journal", f"spool/{event_log.FILE}"
NOT_SYNCED = frozenset({JOURNAL, SPOOL, LENGTHS, lease.FILE, "report.error.txt", CHECKPOINT, PREVIOUS_CHECKPOINT})

Logs = tuple[bytes, bytes]
"""Contents of the journal and of the event log at one moment, whole lines only."""


class ObjectStoreSync:
    """Synchronises the sweep in `store` with its working copy, `folder`."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self._lock = threading.RLock()
        self._discarded = False
        self._lengths = [0, 0]
        self._synced: dict[str, FileStat] = {}  # of the files here when they were uploaded or downloaded

    def pull(self) -> None:
        """Download the latest snapshot, unless journal and spool of the working copy continue it.

        If they do not, another machine went on from the last snapshot, and the working copy is made equal to the store.

        Raises:
            FolderError: the store lost what this working copy had uploaded.
        """
        listed = self.store.list_files()
        remote, local = self._remote_logs(), self._local_logs()
        lengths = json.loads(self._content(LENGTHS) or b"{}")
        uploaded = local[0][: lengths.get(JOURNAL, 0)], local[1][: lengths.get(SPOOL, 0)]
        if not _continues(remote, uploaded):
            got = "something else: another driver wrote over it" if remote[0] else f"no {JOURNAL}"
            raise FolderError(
                f"{self.store.url}: expected what was uploaded from {self.folder}, got {got}; remove that folder to "
                "go on with what the store holds, or choose another --name"
            )
        if not _continues(local, remote):
            for name, content in zip((JOURNAL, SPOOL), remote, strict=True):
                write_bytes(self.folder / name, content)
            for cursor in () if _continues(remote, local) else (self.folder / "spool").glob("cursor-*.json"):
                cursor.unlink()  # a position in the former spool; sending its records again does no harm
            for name in dict(self._local_files()).keys() - listed.keys():
                (self.folder / name).unlink()
        self._lengths = [len(content) for content in remote]
        write_bytes(self.folder / LENGTHS, _encode(self._lengths))
        is_ahead = local != remote and _continues(local, remote)
        self._download(
            {name: stat for name, stat in listed.items() if not (is_ahead and (self.folder / name).exists())}
        )
        self._synced = {name: stat for name, stat in self._local_files() if listed.get(name) == stat}

    def fetch(self, folder: str) -> None:
        """Download what workers left in `folder`; a store that fails raises the OSError of a broken disk."""
        with store_errors_as_disk_errors():
            self._download({f"{folder}/{name}": stat for name, stat in self.store.list_files(folder).items()})

    def remove(self, name: str) -> None:
        """Remove a file from the store."""
        self.store.remove([name])
        with self._lock:
            self._synced.pop(name, None)

    def discard(self) -> None:
        """Remove the sweep from the store, with what its workers left, and upload no more."""
        with self._lock:
            self._discarded = True
            self.store.remove(self.store.list_files().keys() - {lease.FILE})

    def snapshot(self, *, trials: bool = False) -> None:
        """Upload what changed; with `trials` also files that the driver left in trial folders."""
        with self._lock:
            if self._discarded:
                return
            files = dict(self._local_files(trials=trials))
            logs = self._local_logs()
            lengths = [len(content) for content in logs]
            if lengths != self._lengths:
                if not any(self._lengths):
                    self._write_lengths([0, 0])  # else a kill before the third upload would leave no snapshot.json
                for name, content in zip((JOURNAL, SPOOL), logs, strict=True):
                    self.store.write(name, content)
                self._write_lengths(lengths)
                self._lengths = lengths
            for name, stat in files.items():
                if self._synced.get(name) != stat:
                    with suppress(FileNotFoundError):
                        self.store.write(name, (self.folder / name).read_bytes())
                        self._synced[name] = stat

    def _write_lengths(self, lengths: list[int]) -> None:
        self.store.write(LENGTHS, _encode(lengths))
        write_bytes(self.folder / LENGTHS, _encode(lengths))

    def _download(self, listed: dict[str, FileStat]) -> None:
        """Download those of the listed files that are not here yet."""

        def download(name: str) -> None:
            file, stat = _inside(self.folder, name), listed[name]
            with suppress(FileNotFoundError):  # removed meanwhile
                write_bytes(file, self.store.read(name))
                os.utime(file, ns=(stat.mtime, stat.mtime))
                with self._lock:
                    self._synced[name] = stat

        local = {name: _stat(self.folder / name) for name in listed if (self.folder / name).is_file()}
        in_parallel(download, [name for name, stat in listed.items() if _is_synced(name) and local.get(name) != stat])

    def _remote_logs(self) -> Logs:
        """The latest snapshot; without snapshot.json (a folder that was copied there) the whole files."""
        lengths: dict[str, int] = {}
        with suppress(FileNotFoundError):  # read first: the files may only get longer meanwhile
            lengths = json.loads(self.store.read(LENGTHS))
        journal, spool = (self._remote_log(name, lengths.get(name)) for name in (JOURNAL, SPOOL))
        return journal, spool

    def _remote_log(self, name: str, length: int | None) -> bytes:
        content = b""
        with suppress(FileNotFoundError):
            content = self.store.read(name)
        if len(content) < (length or 0):
            raise FolderError(
                f"{self.store.url / name}: expected at least {length} bytes, got {len(content)}; put a copy back, or "
                "remove the sweep there to begin anew"
            )
        return _whole_lines(content[:length])

    def _local_logs(self) -> Logs:
        """Journal and event log of one moment: read again until the event log did not change meanwhile."""
        while True:
            spool, journal = self._content(SPOOL), self._content(JOURNAL)
            if self._content(SPOOL) == spool:
                return _whole_lines(journal), _whole_lines(spool)

    def _content(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return b""

    def _local_files(self, *, trials: bool = True) -> Iterator[tuple[str, FileStat]]:
        for home, folders, files in os.walk(self.folder):
            skipped = "trials" if not trials and home == str(self.folder) else ""
            folders[:] = [folder for folder in folders if folder[0] != "." and folder != skipped]
            for file in files:
                path = Path(home, file)
                name = path.relative_to(self.folder).as_posix()
                if _is_synced(name):
                    with suppress(FileNotFoundError):
                        yield name, _stat(path)


def _encode(lengths: list[int]) -> bytes:
    return json.dumps(dict(zip((JOURNAL, SPOOL), lengths, strict=True))).encode()


def _continues(longer: Logs, shorter: Logs) -> bool:
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
