"""`--runs-dir`, as a command opens it: a local folder as it is, or the working copy of one in an object store.

    with opened(options.runs_dir, Need(name)) as runs:    # runs: a local folder, in which the sweep lies
        …

Of a store the sweeps that are asked for are brought first, and kept alike while they are held; who only reads holds
nothing. Workers find what a path of the working copy stands for by `harness.tuning.storage.workspace`.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.common.atomic_files import disk_error
from harness.common.urls import BadUrl, Url, is_url, parse_place
from harness.tracking.spool.cursor import exclusively
from harness.tuning.storage import workspace
from harness.tuning.storage.sweep_folder import DiskError, FolderError, no_such

if TYPE_CHECKING:
    from harness.tuning.storage.object_store import Store
    from harness.tuning.storage.object_store_sync import ObjectStoreSync

PUSH_SECONDS = 1.0
FOLLOW_SECONDS = 10.0
PATIENCE = 5.0  # seconds that a reader's bringing is waited for


@dataclass(frozen=True)
class Need:
    """A sweep that a command is about.

    Args:
        writes: the command drives it, and no other may meanwhile; else it looks.
        follows: what it looks at is brought again and again.
        exists: it has to be there.
        argument: what named it.
    """

    name: str
    writes: bool = True
    follows: bool = False
    exists: bool = True
    argument: str = "NAME"


def local(runs_dir: Path | str) -> Path:
    """The folder that a function of this package is given.

    Raises:
        FolderError: it is an address, which has to be opened first.
    """
    if is_url(str(runs_dir)) or re.match(r"(s3|gs|gcs|abfss?|file):/", str(runs_dir)):  # as a Path has it
        raise FolderError(
            "runs_dir: expected a local folder, got an address; open it first: with runs_dir.opened(…) as runs_dir"
        )
    return Path(runs_dir)


def here(runs_dir: Path | Url) -> Path:
    """The runs folder on this machine, without a look at it."""
    return runs_dir if isinstance(runs_dir, Path) else runs_dir.copy


@contextmanager
def opened(runs_dir: Path | Url | str, *needs: Need) -> Iterator[Path]:
    """The runs folder, or the working copy of it with the sweeps that are needed.

    Raises:
        FolderError: the store cannot be used, a sweep is not there, or another driver is at it. Nothing was changed.
        DiskError: the store took nothing more. What is new is in the working copy; the same command goes on.
    """
    try:
        place = parse_place(runs_dir) if isinstance(runs_dir, str) else runs_dir
    except BadUrl as error:
        raise FolderError(f"--runs-dir: {error}") from error
    if isinstance(place, Path):
        yield place
        return
    from harness.tuning.storage.object_store import Store  # pyarrow takes half a second to import

    for need in needs:
        _check_name(need)
    store = Store(place)
    there = store.folders()
    for need in needs:
        if need.exists and need.name not in there:
            raise no_such(place, need.name, there, need.argument)
    runs = place.copy
    try:
        runs.mkdir(parents=True, exist_ok=True)
        (runs / workspace.SHOWN).write_text(f"{place}\n")
        with ExitStack() as stack:
            for need in needs:
                stack.enter_context(_driven(store, runs, need) if need.writes else _looked_at(store, runs, need))
            yield runs
    except FolderError:
        raise
    except OSError as error:
        if disk_error(error) is None:
            raise
        raise DiskError(
            f"{runs}: expected a disk that takes a copy of {place}, got: {error.strerror}; make space, or say another "
            "with XDG_CACHE_HOME"
        ) from error


@contextmanager
def _driven(store: "Store", runs: Path, need: Need) -> Iterator[None]:
    from harness.tuning.storage.lease import BEAT, Lease
    from harness.tuning.storage.object_store_sync import ObjectStoreSync, Pushing

    with exclusively(_lock(runs, need), PATIENCE) as alone:
        if not alone:
            raise FolderError(
                f"{store.url / need.name}: this sweep is being run by another process of this machine; wait for its "
                "end, or use another --name"
            )
        lease, mirror = Lease(store, need.name), ObjectStoreSync(store, runs, need.name)
        lease.claim()
        try:
            mirror.pull()
            lease.settle()
            pushing = Pushing(mirror, PUSH_SECONDS, lease.beat, lambda: os.kill(os.getpid(), signal.SIGINT))
            try:
                with workspace.carried(mirror):
                    yield
            finally:
                pushing.end()
                if pushing.failed is not None:
                    raise pushing.failed
                _pushed_last(mirror, lambda: lease.beat(BEAT))
        finally:
            with suppress(FolderError):  # of a store that is away: it is stale soon
                lease.release()


def _pushed_last(mirror: "ObjectStoreSync", alive: Callable[[], None]) -> None:
    """What a sitting left, to the store; said, where another error is on its way already."""
    from harness.tuning.storage.object_store import StoreError

    under_way = sys.exception()
    try:
        alive()
        mirror.push(all_of_it=True)
    except StoreError as error:
        told = f"{error}; what is new is kept in {mirror.folder}, and the same command on this machine goes on"
        if under_way is None:
            raise DiskError(told) from error
        print(told, file=sys.stderr)


@contextmanager
def _looked_at(store: "Store", runs: Path, need: Need) -> Iterator[None]:
    """The sweep as it is now; where a driver of this machine is at it, the working copy is newer than the store."""
    from harness.tuning.storage.object_store_sync import ObjectStoreSync

    def look() -> None:
        with exclusively(_lock(runs, need)) as alone:
            if alone:
                ObjectStoreSync(store, runs, need.name).pull()

    look()
    if not need.follows:
        yield
        return
    over = threading.Event()

    def follow() -> None:
        while not over.wait(FOLLOW_SECONDS):
            with suppress(FolderError):  # of a store that is away for a while
                look()

    thread = threading.Thread(target=follow, name=f"follow {need.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _lock(runs: Path, need: Need) -> Path:
    """Held by whoever is at the working copy of a sweep."""
    return runs / f".{need.name}.lock"


def _check_name(need: Need) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", need.name):
        raise FolderError(
            f"{need.argument}: expected letters, digits and ._- (a letter or digit first, 100 at most), got "
            f"{need.name!r}; it is a folder's name"
        )
