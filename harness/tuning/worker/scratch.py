"""A trial's folder on the node where it runs, where its own lies in a store: fetched at the start, sent as it changes.

Nothing else is asked of the node than a disk, and nothing of what is there is missed with it, but for one file: where
a trial hung (`harness.tuning.worker.time_limit`) is written by a process at its end, and told by the next that runs the
trial on that node. On another node the trial hangs again, until it is given up.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from harness.common.cache_dir import cache_dir
from harness.common.seeds import successive
from harness.common.urls import Url, is_url
from harness.training.data.readers.paths import TEACHING, teacher_file
from harness.tuning.storage.object_store import Store, StoreError
from harness.tuning.storage.sweep_folder import CHECKPOINT, HUNG, PREVIOUS

TAKEN_UP = (CHECKPOINT, PREVIOUS, HUNG)
"""What a trial goes on from."""

State = tuple[int, int, int]  # inode, bytes, nanoseconds of the last change: the same after a file was renamed


class Scratch:
    """The folder of a trial whose place is `url`."""

    def __init__(self, url: Url) -> None:
        self.url = url
        self.folder = cache_dir() / "scratch" / url.copy.relative_to(cache_dir())
        self._store = Store(url)
        self._known: dict[str, State] = {}

    def fetch(self, config: Mapping[str, Any], seeds: int) -> None:
        """Have here what a worker anywhere left to go on from, and nothing else; and what its teacher says.

        Raises:
            StoreError: it cannot be fetched.
        """
        _fetch_teacher(config, seeds)
        hung = self.folder / HUNG
        where = hung.read_bytes() if hung.exists() else b""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in self._store.listed().keys() & set(TAKEN_UP):
            with suppress(FileNotFoundError):
                self._store.fetch(name, self.folder / name)
        self._known = self._here()
        if where:
            hung.write_bytes(where)

    def send(self) -> None:
        """Have there what is here.

        Raises:
            StoreError: it does not take it; the same again goes on.
        """
        here = self._here()
        fresh = [name for name, state in here.items() if self._known.get(name) != state]
        for name in list(fresh):
            before = next((old for old, state in self._known.items() if state == here[name]), None)
            if before is not None:  # renamed here: the store has the content, and need not be given it again
                with suppress(StoreError, FileNotFoundError):
                    self._store.copy(before, name)
                    fresh.remove(name)
        for name in fresh:
            self._store.send(name, self.folder / name)
        self._store.remove(self._known.keys() - here.keys())
        self._known = here

    def leave(self) -> None:
        """Take the folder away: all of it is in the store, or of no use."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _here(self) -> dict[str, State]:
        with os.scandir(self.folder) as entries:
            stats = {entry.name: entry.stat() for entry in entries if entry.is_file() and entry.name[0] != "."}
        return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _fetch_teacher(config: Mapping[str, Any], seeds: int) -> None:
    """Have the logits here that a student learns from, where its teacher lies in a store."""
    teacher = str(config.get("teacher", ""))
    if not is_url(teacher):
        return
    for seed in successive(config["seed"], seeds):
        file = teacher_file(teacher, seed)
        if not file.exists():
            with suppress(FileNotFoundError):  # training says that there is none
                Store(Url.parse(teacher) / str(seed)).fetch(TEACHING, file)
