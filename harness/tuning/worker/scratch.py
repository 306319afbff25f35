"""Local folder of a trial whose runs folder is in an object store: downloaded at the start, uploaded as it changes.

The node needs nothing but a disk. Only `hung.txt` (`time_limit`) never gets to the store: a process writes it as it is
ended. The next worker on the same node reports it; on another node the trial hangs again, until it is given up.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from harness.common.cache_dir import cache_dir
from harness.common.seeds import consecutive_seeds
from harness.common.urls import Url, is_url
from harness.training.config.teacher_files import LOGITS_FILE, teacher_logits_file
from harness.tuning.storage.object_store import Store, StoreError
from harness.tuning.storage.sweep_folder import CHECKPOINT, HUNG, PREVIOUS_CHECKPOINT

DOWNLOADED = (CHECKPOINT, PREVIOUS_CHECKPOINT, HUNG)

FileState = tuple[int, int, int]
"""Inode, size in bytes, time of the last change in ns: unchanged when a file is renamed."""


class ScratchFolder:
    """Local copy of the trial's folder at `url`.

    Methods raise StoreError where the store fails; the same call may be repeated.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        self.folder = cache_dir() / "scratch" / url.copy.relative_to(cache_dir())
        self._store = Store(url)
        self._uploaded: dict[str, FileState] = {}

    def download(self, config: Mapping[str, Any], seeds: int) -> None:
        """Replace the local folder by the trial's checkpoint, and download its teacher's logits."""
        _download_teacher(config, seeds)
        hung = self.folder / HUNG
        stacks = hung.read_bytes() if hung.exists() else b""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name in self._store.list_files().keys() & set(DOWNLOADED):
            with suppress(FileNotFoundError):
                self._store.download(name, self.folder / name)
        self._uploaded = self._local_files()
        if stacks:
            hung.write_bytes(stacks)

    def upload(self) -> None:
        """Make the store equal to the local folder."""
        files = self._local_files()
        changed = [name for name, state in files.items() if self._uploaded.get(name) != state]
        for name in list(changed):
            old_name = next((old for old, state in self._uploaded.items() if state == files[name]), None)
            if old_name is not None:  # renamed: the store copies it, before something else is uploaded as `old_name`
                with suppress(StoreError, FileNotFoundError):
                    self._store.copy(old_name, name)
                    changed.remove(name)
        for name in changed:
            self._store.upload(name, self.folder / name)
        self._store.remove(self._uploaded.keys() - files.keys())
        self._uploaded = files

    def delete(self) -> None:
        """Delete the local folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _local_files(self) -> dict[str, FileState]:
        with os.scandir(self.folder) as entries:
            stats = {entry.name: entry.stat() for entry in entries if entry.is_file() and entry.name[0] != "."}
        return {name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _download_teacher(config: Mapping[str, Any], seeds: int) -> None:
    """Download the logits that a student learns from, where its teacher is in an object store."""
    teacher = str(config.get("teacher", ""))
    if not is_url(teacher):
        return
    for seed in consecutive_seeds(config["seed"], seeds):
        file = teacher_logits_file(teacher, seed)
        if not file.exists():
            with suppress(FileNotFoundError):  # training then reports it as missing
                Store(Url.parse(teacher) / str(seed)).download(LOGITS_FILE, file)
