"""Working copies of sweeps in an object store, opened for reading or for writing."""

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
def open_for_writing(sync: ObjectStoreSync) -> Iterator[None]:
    """Hold the lease of a sweep, and upload its changes while the block runs.

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
            with _regular_snapshots(sync, lease):
                yield
        finally:
            with suppress(FolderError):  # the store is unreachable: the lease expires
                lease.release()


@contextmanager
def open_for_reading(sync: ObjectStoreSync, *, follow: bool) -> Iterator[None]:
    """Download a sweep; with `follow` again every few seconds, unless a driver on this machine uses the copy."""

    def pull() -> None:
        with file_lock(_lock_file(sync)) as held:
            if held:
                sync.pull()

    def try_pull() -> None:
        with suppress(FolderError):  # the store is unreachable for a while
            pull()

    pull()
    with _repeat_in_thread(try_pull, FOLLOW_SECONDS) if follow else nullcontext():
        yield


@contextmanager
def _regular_snapshots(sync: ObjectStoreSync, lease: Lease) -> Iterator[None]:
    """Renew the lease and take a snapshot, again and again while the block runs, and once more at its end."""
    failures: list[FolderError] = []

    def renew() -> None:
        try:
            if not failures:
                lease.renew()
                sync.snapshot()
        except (StoreError, OSError):  # unreachable or full: the last snapshot reports it, if it still is then
            pass
        except FolderError as error:
            failures.append(error)
            os.kill(os.getpid(), signal.SIGINT)

    try:
        with _repeat_in_thread(renew, SNAPSHOT_SECONDS):
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
def _repeat_in_thread(action: Callable[[], None], seconds: float) -> Iterator[None]:
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
    return file.read_text(encoding="utf-8")
