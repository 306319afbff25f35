"""Runs folders in use: `--runs-dir` names a local folder, or an address in an object store.

    with open_workspace(runs_dir, SweepAccess("label_lr")) as workspace:
        SweepFolder(workspace.local / "label_lr")

A local runs folder is used as it is. Of one in an object store, the sweeps that are needed are downloaded into a
working copy, and uploaded again while they are driven. A path is a path of this machine everywhere; who needs more (the
address that workers use, what they left there) holds the `Workspace`.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.common.atomic_files import disk_error, write_text
from harness.common.file_lock import file_lock
from harness.common.urls import BadUrl, Url, parse_place
from harness.tuning.storage.sweep_folder import ADDRESS_FILE, DiskError, FolderError, is_sweep_name, no_such_sweep

if TYPE_CHECKING:
    from harness.tuning.storage.object_store_sync import ObjectStoreSync

FOLLOW_SECONDS = 10.0
LOCK_WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class SweepAccess:
    """A sweep that a command needs.

    Args:
        writes: the command drives it, and no other command may meanwhile.
        follows: it is only read, and downloaded again every few seconds.
        exists: it has to exist.
        argument: the command-line argument that names it, for errors.
    """

    name: str
    writes: bool = True
    follows: bool = False
    exists: bool = True
    argument: str = "NAME"


class Workspace:
    """A runs folder in use.

    Attributes:
        local: the runs folder, or the working copy of one in an object store.
        url: the address of the latter.
    """

    def __init__(self, local: Path, url: Url | None = None) -> None:
        self.local = local
        self.url = url
        self._driven: dict[str, ObjectStoreSync] = {}

    @property
    def display(self) -> str:
        """The runs folder as a user names it."""
        return str(self.url or self.local)

    def worker_location(self, path: Path) -> Path | Url:
        """Where workers find what is at `path`, a path below `local`."""
        return path if self.url is None else self.url / PurePosixPath(path.relative_to(self.local))

    def fetch(self, folder: Path) -> None:
        """Download what workers left in a folder of a driven sweep."""
        sync, name = self._sync_of(folder)
        if sync is not None:
            sync.fetch(name)

    def remove(self, file: Path) -> None:
        """Remove a file of a driven sweep, here and for workers."""
        sync, name = self._sync_of(file)
        if sync is not None:
            sync.remove(name)
        file.unlink(missing_ok=True)

    def _sync_of(self, path: Path) -> "tuple[ObjectStoreSync | None, str]":
        if self.url is None:
            return None, ""
        sweep, *rest = path.relative_to(self.local).parts
        return self._driven.get(sweep), "/".join(rest)

    @contextmanager
    def drive(self, access: SweepAccess) -> Iterator[None]:
        """Hold the lease of a sweep in an object store, and keep the store up to date.

        Raises:
            FolderError: another driver holds the lease, with nothing changed; or has taken the sweep over meanwhile.
            DiskError: the last snapshot failed.
        """
        from harness.tuning.storage.lease import Lease
        from harness.tuning.storage.object_store_sync import regular_snapshots

        sync = self._sync(access)
        with file_lock(self._lock_file(access), LOCK_WAIT_SECONDS) as held:
            if not held:
                raise FolderError(
                    f"{sync.store.url}: this sweep is being run by another process of this machine; wait for its end, "
                    "or use another --name"
                )
            lease = Lease(sync.store, self._copy_id())
            lease.claim()
            try:
                sync.pull()
                with regular_snapshots(sync, lease):
                    self._driven[access.name] = sync
                    try:
                        yield
                    finally:
                        del self._driven[access.name]
            finally:
                with suppress(FolderError):  # the store is away: the lease expires
                    lease.release()

    @contextmanager
    def read(self, access: SweepAccess) -> Iterator[None]:
        """Download a sweep, again and again if it is followed. A driver on this machine keeps the copy newer itself."""
        from harness.tuning.storage.object_store_sync import repeated

        def pull() -> None:
            with file_lock(self._lock_file(access)) as held:
                if held:
                    self._sync(access).pull()

        def try_pull() -> None:
            with suppress(FolderError):  # the store is away for a while
                pull()

        pull()
        with repeated(try_pull, FOLLOW_SECONDS) if access.follows else nullcontext():
            yield

    def _sync(self, access: SweepAccess) -> "ObjectStoreSync":
        from harness.tuning.storage.object_store import Store
        from harness.tuning.storage.object_store_sync import ObjectStoreSync

        assert self.url is not None
        return ObjectStoreSync(Store(self.url / access.name), self.local / access.name)

    def _lock_file(self, access: SweepAccess) -> Path:
        """Held by whoever uses the working copy of a sweep."""
        return self.local / f".{access.name}.lock"

    def _copy_id(self) -> str:
        file = self.local / ".copy-id"
        if not file.exists():
            write_text(file, uuid.uuid4().hex)
        return file.read_text()


@contextmanager
def open_workspace(runs_dir: Workspace | Path | Url | str, *accesses: SweepAccess) -> Iterator[Workspace]:
    """Open a runs folder and the sweeps that are needed of it; an open `Workspace` is used as it is.

    Raises:
        FolderError: the address is wrong, the store cannot be used, a sweep does not exist, or another driver holds it.
            Nothing was changed.
        DiskError: the disk or the store is full or away. What is new is in the working copy; the same command goes on.
    """
    if isinstance(runs_dir, Workspace):
        yield runs_dir
        return
    location = _parse(runs_dir)
    if isinstance(location, Path):
        yield Workspace(location)
        return
    from harness.tuning.storage.object_store import Store  # pyarrow takes half a second to import

    for access in accesses:
        if not is_sweep_name(access.name):
            raise FolderError(
                f"{access.argument}: expected letters, digits and ._- (a letter or digit first, 100 at most), got "
                f"{access.name!r}; it is a folder's name"
            )
    existing = Store(location).list_folders()
    for access in accesses:
        if access.exists and access.name not in existing:
            raise no_such_sweep(str(location), access.name, existing, access.argument)
    workspace = Workspace(location.copy, location)
    try:
        workspace.local.mkdir(parents=True, exist_ok=True)
        (workspace.local / ADDRESS_FILE).write_text(f"{location}\n")
        with ExitStack() as stack:
            for access in accesses:
                stack.enter_context(workspace.drive(access) if access.writes else workspace.read(access))
            yield workspace
    except FolderError:
        raise
    except OSError as error:
        if disk_error(error) is None:
            raise
        raise DiskError(
            f"{workspace.local}: expected a disk with space for a copy of {location}, got: {error.strerror}; make "
            "space, or name another folder with XDG_CACHE_HOME"
        ) from error


def _parse(runs_dir: Path | Url | str) -> Path | Url:
    if isinstance(runs_dir, Path) and re.match(r"(s3|gs|gcs|abfss?|file):/", str(runs_dir)):
        raise FolderError(f"--runs-dir: expected an address as a string, got Path('{runs_dir}')")
    try:
        return parse_place(runs_dir) if isinstance(runs_dir, str) else runs_dir
    except BadUrl as error:
        raise FolderError(f"--runs-dir: {error}") from error


def local_runs_dir(runs_dir: Path | Url) -> Path:
    """The local folder of a runs folder, which need not be open or exist."""
    return runs_dir if isinstance(runs_dir, Path) else runs_dir.copy
