"""Working copies of sweeps in an object store: downloaded to be read, or driven and uploaded again."""

import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from harness.common.atomic_files import write_text
from harness.common.file_lock import file_lock
from harness.tuning.storage.lease import Lease
from harness.tuning.storage.object_store import StoreError
from harness.tuning.storage.object_store_sync import ObjectStoreSync
from harness.tuning.storage.sweep_folder import DiskError, FolderError

SNAPSHOT_SECONDS = 20.0
FOLLOW_SECONDS = 10.0
LOCK_WAIT_SECONDS = 5.0


@contextmanager
def driven(sync: ObjectStoreSync) -> Iterator[None]:
    """Hold the lease of a sweep, and keep the store up to date.

    Raises:
        FolderError: another driver holds the lease, with nothing changed; or has taken the sweep over meanwhile.
        DiskError: the last snapshot failed.
    """
    with file_lock(_lock_file(sync), LOCK_WAIT_SECONDS) as held:
        if not held:
            raise FolderError(
                f"{sync.store.url}: this sweep is being run by another process of this machine; wait for its end, or "
                "use another --name"
            )
        lease = Lease(sync.store, _copy_id(sync.folder.parent))
        lease.claim()
        try:
            sync.pull()
            with _snapshots(sync, lease):
                yield
        finally:
            with suppress(FolderError):  # the store is away: the lease expires
                lease.release()


@contextmanager
def downloaded(sync: ObjectStoreSync, *, follow: bool) -> Iterator[None]:
    """Download a sweep, again and again with `follow`. A driver on this machine keeps the copy newer itself."""

    def pull() -> None:
        with file_lock(_lock_file(sync)) as held:
            if held:
                sync.pull()

    def try_pull() -> None:
        with suppress(FolderError):  # the store is away for a while
            pull()

    pull()
    with _repeated(try_pull, FOLLOW_SECONDS) if follow else nullcontext():
        yield


@contextmanager
def _snapshots(sync: ObjectStoreSync, lease: Lease) -> Iterator[None]:
    """Renew the lease and take a snapshot, again and again while the block runs, and once more at its end."""
    failures: list[FolderError] = []

    def renew() -> None:
        try:
            if not failures:
                lease.renew()
                sync.snapshot()
        except (StoreError, OSError):  # away or full: the last snapshot reports it, if it still is then
            pass
        except FolderError as error:
            failures.append(error)
            os.kill(os.getpid(), signal.SIGINT)

    try:
        with _repeated(renew, SNAPSHOT_SECONDS):
            yield
    finally:
        other_error = sys.exception()
        if failures:
            raise failures[0]
        try:
            lease.check()
            sync.snapshot(trials=True)
        except StoreError as error:
            message = f"{error}; what is new is kept in {sync.folder}, and the same command on this machine goes on"
            if other_error is None:
                raise DiskError(message) from error
            print(message, file=sys.stderr)


@contextmanager
def _repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `action` every so many seconds, in a thread, while the block runs."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(seconds):
            action()

    thread = threading.Thread(target=run, name=action.__qualname__, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _lock_file(sync: ObjectStoreSync) -> Path:
    """Held by whoever uses the working copy of a sweep."""
    return sync.folder.with_name(f".{sync.folder.name}.lock")


def _copy_id(runs_dir: Path) -> str:
    file = runs_dir / ".copy-id"
    if not file.exists():
        write_text(file, uuid.uuid4().hex)
    return file.read_text()
