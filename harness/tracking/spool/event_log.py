"""Append-only file of a sweep's events, one per line, each with its own checksum.

    {"kind":"EventLog","version":1,"id":"…","crc32":"…"}        first line
    {"kind":"EpochMetrics","trial":0,"step":1,…,"crc32":"…"}    every other line

`append` returns when the operating system has the event: killing the process loses nothing, a power cut may lose the
last seconds and leave a last line without newline, which is cut off when the log is opened again. Readers skip a line
with a wrong checksum. Times are part of the events, so that sending an event twice says the same twice.
"""

import dataclasses
import errno
import io
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from harness.common.checksums import decode_line, encode_line, is_intact
from harness.common.errors import HarnessError
from harness.tracking.spool.events import Event, decode_event, encode_event

FILE = "events.log"
VERSION = 1


class EventLogError(HarnessError):
    """An event log that cannot be read or written."""


class EventLog(AbstractContextManager["EventLog"]):
    """Event log of the driver, opened for appending; created where `folder` has none.

    Paths of artifacts inside the sweep's folder (the parent of `folder`) are stored relative to it, so that the folder
    can be moved.

    Attributes:
        warnings: what was found damaged when the log was opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.warnings: list[str] = []
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / FILE
        if self._path.exists():
            self._repair_end()
        self._file = self._path.open("ab", buffering=0)
        self._lock = threading.Lock()
        if self._path.stat().st_size == 0:
            self._write(encode_line({"kind": "EventLog", "version": VERSION, "id": uuid.uuid4().hex}))

    def append(self, event: Event) -> None:
        """Append one event, from any thread.

        Raises:
            OSError: the disk does not take it; the file is unchanged.
        """
        if artifacts := getattr(event, "artifacts", ()):
            relative = tuple(map(self._relative, artifacts))
            event = dataclasses.replace(event, artifacts=relative)  # type: ignore[call-arg]
        with self._lock:
            self._write(encode_event(event))

    def close(self) -> None:
        """Flush to disk and close the file."""
        os.fsync(self._file.fileno())
        self._file.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(line)
            if written < len(line):
                message = f"No space left on device: only {written} of {len(line)} bytes were taken"
                raise OSError(errno.ENOSPC, message, str(self._path))
        except OSError:
            self._file.truncate(size)  # half a line would swallow the next one
            raise

    def _relative(self, path: str) -> str:
        sweep_folder = self.folder.absolute().parent
        absolute = Path(path).absolute()
        return str(absolute.relative_to(sweep_folder)) if absolute.is_relative_to(sweep_folder) else str(absolute)

    def _repair_end(self) -> None:
        """Cut off a last line without newline; count damaged lines."""
        content = self._path.read_bytes()
        end = content.rfind(b"\n") + 1
        if end:
            read_sweep_id(self.folder)  # refuse a file that is no event log before anything is cut off
        if end < len(content):
            os.truncate(self._path, end)
            self.warnings.append(f"{self._path}: the last event was cut short; the events before it are complete")
        if damaged := sum(not is_intact(line) for line in io.BytesIO(content[:end])):
            self.warnings.append(f"{self._path}: skipped {damaged} damaged lines")


def read_sweep_id(folder: Path) -> str:
    """Identity of the sweep, from the first line of its event log.

    Raises:
        EventLogError: there is no event log, or one of another version.
    """
    path = Path(folder) / FILE
    try:
        with path.open("rb") as file:
            header = decode_line(file.readline())
    except FileNotFoundError:
        raise EventLogError(f"{path}: expected the event log of a sweep, found no such file") from None
    if header is None or header.get("kind") != "EventLog":
        raise EventLogError(
            f"{path}: expected the header of an event log on the first line, found something else; "
            "put a copy back, or move the folder away to track the sweep anew"
        )
    if header.get("version") != VERSION:
        version = header.get("version")
        raise EventLogError(f"{path}: expected version {VERSION}, got {version}; use the harness that wrote it")
    return str(header.get("id"))


def read_events(folder: Path, offset: int = 0) -> Iterator[tuple[Event | None, int]]:
    """Yield (event or None, offset after its line) from byte `offset` on; None where `decode_event` gives None.

    A last line without newline is left out: it is still being written, or was cut by a power failure.
    """
    with (Path(folder) / FILE).open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield decode_event(line), offset
