"""Runs folders in use: `--runs-dir` names a local folder, or an address in an object store.

with open_workspace(runs_dir, SweepAccess("label_lr")) as workspace:
    SweepFolder(workspace.local / "label_lr")
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.common.atomic_files import disk_error
from harness.common.urls import BadUrl, Url, parse_location
from harness.tuning.storage.sweep_folder import ADDRESS_FILE, DiskError, FolderError, is_sweep_name, no_such_sweep

if TYPE_CHECKING:
    from harness.tuning.storage.object_store_sync import ObjectStoreSync


@dataclass(frozen=True)
class SweepAccess:
    """How a command uses a sweep."""

    name: str
    writes: bool = True  # exclusive: no other command may write to it at the same time
    follows: bool = False  # read only, and downloaded again every few seconds
    must_exist: bool = True
    argument: str = "NAME"  # of the command line, for errors


class Workspace:
    """A runs folder in use.

    Attributes:
        local: the runs folder, or the working copy of one in an object store.
        url: the address of the latter.
        driven_sweeps: sweeps of the latter that this process drives.
    """

    def __init__(self, local: Path, url: Url | None = None) -> None:
        self.local = local
        self.url = url
        self.driven_sweeps: dict[str, ObjectStoreSync] = {}

    def worker_location(self, path: Path) -> Path | Url:
        """Path or address by which workers reach `path`, which is below `local`."""
        return path if self.url is None else self.url / PurePosixPath(path.relative_to(self.local))

    def fetch(self, folder: Path) -> None:
        """Download what workers left in a folder of a driven sweep."""
        for sync, name in self._sync_of(folder):
            sync.fetch(name)

    def remove(self, file: Path) -> None:
        """Remove a file of a driven sweep, here and for workers."""
        for sync, name in self._sync_of(file):
            sync.remove(name)
        file.unlink(missing_ok=True)

    def discard(self, folder: Path) -> None:
        """Remove a driven sweep that has just begun from the store; it is uploaded no more."""
        for sync, _ in self._sync_of(folder):
            sync.discard()

    def _sync_of(self, path: Path) -> "list[tuple[ObjectStoreSync, str]]":
        """The sync of the sweep that `path` belongs to, and its name there; empty for a local runs folder."""
        return [
            (sync, path.relative_to(sync.folder).as_posix())
            for sync in self.driven_sweeps.values()
            if path.is_relative_to(sync.folder)
        ]


@contextmanager
def open_workspace(runs_dir: Workspace | Path | Url | str, *accesses: SweepAccess) -> Iterator[Workspace]:
    """Open a runs folder and the sweeps that are needed of it; an open `Workspace` is used as it is.

    Raises:
        FolderError: the address is wrong, the store cannot be used, a sweep does not exist, or another driver holds it.
            Nothing was changed.
        DiskError: the disk is full or the store unreachable. Changes are in the working copy.
    """
    if isinstance(runs_dir, Workspace):
        yield runs_dir
        return
    location = _parse(runs_dir)
    if isinstance(location, Path):
        yield Workspace(location)
        return
    from harness.tuning.storage import working_copy  # pyarrow takes half a second to import
    from harness.tuning.storage.object_store import Store
    from harness.tuning.storage.object_store_sync import ObjectStoreSync

    for access in accesses:
        if not is_sweep_name(access.name):
            raise FolderError(
                f"{access.argument}: expected letters, digits and ._- (a letter or digit first, 100 at most), got "
                f"{access.name!r}; it is a folder's name"
            )
    existing = Store(location).list_folders()
    for access in accesses:
        if access.must_exist and access.name not in existing:
            raise no_such_sweep(str(location), access.name, existing, access.argument)
    workspace = Workspace(location.local_copy, location)
    try:
        workspace.local.mkdir(parents=True, exist_ok=True)
        (workspace.local / ADDRESS_FILE).write_text(f"{location}\n", encoding="utf-8")
        with ExitStack() as stack:
            for access in accesses:
                sync = ObjectStoreSync(Store(location / access.name), workspace.local / access.name)
                if access.writes:
                    stack.enter_context(working_copy.open_for_writing(sync))
                    workspace.driven_sweeps[access.name] = sync
                else:
                    stack.enter_context(working_copy.open_for_reading(sync, follow=access.follows))
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
        location = parse_location(runs_dir) if isinstance(runs_dir, str) else runs_dir
    except BadUrl as error:
        raise FolderError(f"--runs-dir: {error}") from error
    if isinstance(location, Path):
        try:
            str(location.absolute()).encode()  # result files and MLflow's database hold the path as UTF-8
        except UnicodeEncodeError as error:
            raise FolderError(
                f"--runs-dir: expected a path in UTF-8, got '{location.absolute()}'; name another folder, or set "
                "PYTHONUTF8=1 where the terminal has another encoding"
            ) from error
    return location


def local_runs_dir(runs_dir: Path | Url) -> Path:
    """The local folder of a runs folder, which need not be open or exist."""
    return runs_dir if isinstance(runs_dir, Path) else runs_dir.local_copy
