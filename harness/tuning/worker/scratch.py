"""Local folder of a trial whose runs folder is in an object store: downloaded at the start, uploaded as it changes.

Objects are written whole, so the previous checkpoint stays here. So does `hung.txt` (`time_limit`): a process writes it
as it is ended. The next worker on this node reports it; on another node the trial hangs again, until its restarts are
used up.
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from harness.common.atomic_files import write_bytes
from harness.common.seeds import consecutive_seeds
from harness.common.urls import Url, is_url
from harness.common.user_dirs import cache_dir
from harness.training.config.teacher_files import LOGITS_FILE, teacher_logits_file
from harness.tuning.storage.object_store import Store, store_errors_as_disk_errors
from harness.tuning.storage.sweep_folder import CHECKPOINT, HUNG, PREVIOUS_CHECKPOINT


class ScratchFolder:
    """Local copy of the trial's folder at `url`. A store that fails is an OSError; the same call may be repeated."""

    def __init__(self, url: Url) -> None:
        self.folder = cache_dir() / "scratch" / url.local_copy.relative_to(cache_dir())
        self._store = Store(url)
        self._uploaded: dict[str, tuple[int, int]] = {}  # size in bytes, time of the last change in ns

    def download(self, config: Mapping[str, Any], seeds: int) -> None:
        """Replace the local folder by the trial's checkpoint, and download its teacher's logits."""
        with store_errors_as_disk_errors():
            _download_teacher(config, seeds)
            self.folder.mkdir(parents=True, exist_ok=True)
            for file in self.folder.iterdir():
                if file.name != HUNG:
                    file.unlink()
            with suppress(FileNotFoundError):
                write_bytes(self.folder / CHECKPOINT, self._store.read(CHECKPOINT))
        self._uploaded = self._local_files()

    def upload(self) -> None:
        """Make the store equal to the local folder."""
        files = self._local_files()
        with store_errors_as_disk_errors():
            for name, state in files.items():
                if self._uploaded.get(name) != state:
                    self._store.write(name, (self.folder / name).read_bytes())
            self._store.remove(self._uploaded.keys() - files.keys())
        self._uploaded = files

    def delete(self) -> None:
        """Delete the local folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _local_files(self) -> dict[str, tuple[int, int]]:
        stats = {file.name: file.stat() for file in self.folder.iterdir() if file.name[0] != "."}
        return {
            name: (stat.st_size, stat.st_mtime_ns)
            for name, stat in stats.items()
            if name not in (HUNG, PREVIOUS_CHECKPOINT)
        }


def _download_teacher(config: Mapping[str, Any], seeds: int) -> None:
    """Download the logits that a student learns from, where its teacher is in an object store."""
    teacher = str(config.get("teacher", ""))
    if not is_url(teacher):
        return
    for seed in consecutive_seeds(config["seed"], seeds):
        file = teacher_logits_file(teacher, seed)
        if not file.exists():
            with suppress(FileNotFoundError):  # training then reports it as missing
                write_bytes(file, Store(Url.parse(teacher) / str(seed)).read(LOGITS_FILE))
