"""Checkpoints of a trial: `checkpoint.pt`, and the one before it, `checkpoint.previous.pt`.

A checkpoint is what torch.save writes and a checksum behind it, because torch does not notice a flipped bit. A damaged
one is deleted, so that it never replaces the previous, intact one. Files are loaded as data only (`weights_only`).
"""

import io
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from harness.common.atomic_files import write_atomically
from harness.common.checksums import append_checksum, strip_checksum
from harness.tuning.storage.sweep_folder import PREVIOUS_CHECKPOINT

VERSION = 5
"""Version of a checkpoint's content."""


_THREAD = ThreadPoolExecutor(1, "checkpoint")


class CorruptCheckpoint(Exception):
    """A file that is no intact checkpoint; the message says what it is instead."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path` and keep what was there as the previous checkpoint. A kill leaves one of them intact."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # a path would hide the disk's own OSError
            torch.save({"version": VERSION, **state}, file)
        append_checksum(temporary)
        if path.exists():
            path.replace(path.with_name(PREVIOUS_CHECKPOINT))

    write_atomically(path, write)


class CheckpointWriter:
    """Writes checkpoints of a trial one after the other, in a thread where training is to go on meanwhile.

    The error of a checkpoint that could not be written in the thread is raised by the next call.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: Future[None] | None = None

    def save(self, state: dict[str, Any], *, in_thread: bool) -> None:
        """`save`; `state` belongs to the writer from now on."""
        self.wait()
        if in_thread:
            self._pending = _THREAD.submit(save, self.path, state)
        else:
            save(self.path, state)

    def wait(self) -> None:
        """Wait until the last checkpoint is written."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def discard(self) -> None:
        """`discard`, after the last checkpoint is written."""
        self.wait()
        discard(self.path)


def load(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The state of the newest intact checkpoint, None without one, and warnings of damaged ones, which are deleted."""
    damaged: list[str] = []
    for file in (path, path.with_name(PREVIOUS_CHECKPOINT)):
        try:
            state = _read(file)
        except FileNotFoundError:
            continue
        except OSError as error:
            damaged.append(f"{file}: expected a checkpoint that can be read, got: {error.strerror}")
        except CorruptCheckpoint as error:
            damaged.append(f"{file}: expected an intact checkpoint, got {error}")
            file.unlink(missing_ok=True)
        else:
            return state, [f"{text}; the trial goes on from the one before it" for text in damaged]
    return None, [f"{text}; the trial starts anew" for text in damaged]


def discard(path: Path) -> None:
    """Delete the checkpoint and the previous one."""
    for file in (path, path.with_name(PREVIOUS_CHECKPOINT)):
        file.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any]:
    archive = strip_checksum(file.read_bytes())
    if archive is None:
        raise CorruptCheckpoint("one with a wrong checksum, or cut short")
    try:
        state = torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a file that is not its own
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CorruptCheckpoint(f"what torch does not load as data ({reason})") from error
    version = state.get("version") if isinstance(state, dict) else None
    if version != VERSION:
        raise CorruptCheckpoint(f"one of version {version}, not {VERSION}")
    return dict(state)
