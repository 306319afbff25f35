"""The spool: an append-only file of records, one a line, each with its own checksum.

    line = crc32(json) in eight hex digits, a space, json, a newline

A record is in the hands of the operating system once `append` returns: killing the process loses nothing,
a power cut may lose the last seconds. What such a cut leaves is a tail without its newline; opening the spool
again moves it aside and says so. A complete line whose checksum is wrong is stepped over by every reader, so
that one bad block costs one record. Times are in the records (milliseconds since the epoch), so that sending
a record twice says the same twice.
"""

import dataclasses
import errno
import io
import json
import math
import os
import threading
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from harness.common.errors import HarnessError

Scalar = str | int | float | bool

FILE = "events.log"
CUT = "events.cut"
VERSION = 1

SEEDS_TAG = "seeds_per_trial"
"""Tag of a sweep and of its trials: the runs of each trial, from its seed up, of which its metrics are the means."""


class EventLogError(HarnessError):
    """A spool that cannot be read or written; the message says what to do."""


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStarted:
    """A sweep begins, or goes on: its parent run. `artifacts` are paths of files.

    The tag `study` names the experiment, the sweep's name where there is none. MLflow's parameters cannot change:
    what may differ when a sweep goes on (its budget) belongs in `tags`.
    """

    name: str
    params: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A trial begins, or is taken up again: its child run, one for each number `trial` of the sweep."""

    trial: int
    name: str
    params: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUsed:
    """The data that a trial works with: of each part `context`, `name`, `source`, `digest`, `images` and more."""

    trial: int
    parts: tuple[Mapping[str, Scalar], ...]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """One point of a trial's curves; `step` is the epoch, from 1."""

    trial: int
    step: int
    metrics: Mapping[str, float]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """How a trial ended, and why. `metrics` are its final values, reached at epoch `step`."""

    trial: int
    state: Literal["complete", "pruned", "failed"]
    reason: str = ""
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    step: int = 0
    artifacts: tuple[str, ...] = ()
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactsAdded:
    """Further files or folders of a trial that has ended."""

    trial: int
    artifacts: tuple[str, ...]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWarning:
    """What a user should know of a trial's files, such as a checkpoint that was damaged."""

    trial: int
    text: str
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMetrics:
    """How busy the driver's machine is; `step` in seconds since the sweep was begun."""

    step: int
    metrics: Mapping[str, float]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPaused:
    """The sweep was interrupted; the same command goes on with it."""

    reason: str = "interrupted"
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEnded:
    """The sweep used up its budget (`complete`), or brought no result (`failed`)."""

    state: Literal["complete", "failed"] = "complete"
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    time: int = dataclasses.field(default_factory=now_ms)


Event = (
    SweepStarted
    | TrialStarted
    | DatasetUsed
    | EpochMetrics
    | TrialEnded
    | ArtifactsAdded
    | TrialWarning
    | SystemMetrics
    | SweepPaused
    | SweepEnded
)

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}


def _frame(payload: Mapping[str, Any]) -> bytes:
    """One line of the file."""
    body = json.dumps(payload, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _unframe(line: bytes) -> dict[str, Any] | None:
    """The payload of a line, or None where the checksum does not fit."""
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):  # a checksum is no signature: anybody may have written the line
        return None
    return payload if isinstance(payload, dict) else None


def _plain(value: object) -> object:
    """`value` as JSON has it: numpy's numbers as Python's; NaN and infinity as strings that `float` reads."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | str | int):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else str(number)


def encode_event(record: Event) -> bytes:
    """The line that holds `record`."""
    fields = {field.name: _plain(getattr(record, field.name)) for field in dataclasses.fields(record)}
    return _frame({"kind": type(record).__name__, **fields})


def decode_event(line: bytes) -> Event | None:
    """The record of a line; None for a damaged line, the header, or a kind or fields that are none of this version."""
    payload = _unframe(line)
    if payload is None or (kind := KINDS.get(str(payload.pop("kind", None)))) is None:
        return None
    try:
        if "metrics" in payload:
            payload["metrics"] = {key: float(value) for key, value in payload["metrics"].items()}
        if "artifacts" in payload:
            payload["artifacts"] = tuple(payload["artifacts"])
        if "parts" in payload:
            payload["parts"] = tuple(payload["parts"])
        return kind(**payload)
    except (TypeError, ValueError, AttributeError):
        return None


class EventLog:
    """The driver's end: opens (or begins) the spool of `folder` and appends to it.

    `id` names the sweep on any tracking server. `warnings` says in words what was found damaged on opening.
    Paths of artifacts inside the sweep's folder (the parent of `folder`) are kept relative to it, so that the
    folder can be moved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.warnings: list[str] = []
        self.folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._cut_tail()
        self._size = os.fstat(self._descriptor).st_size
        self._alone = threading.Lock()
        if self._size == 0:
            self._write(_frame({"kind": "EventLog", "version": VERSION, "id": uuid.uuid4().hex}))
        self.id = read_sweep_id(self.folder)

    def append(self, record: Event) -> None:
        """Adds one record, from any thread; OSError if the disk does not take it, and then the file is as it was."""
        if isinstance(record, SweepStarted | TrialEnded | ArtifactsAdded | SweepEnded) and record.artifacts:
            record = dataclasses.replace(record, artifacts=tuple(map(self._relative, record.artifacts)))
        with self._alone:
            self._write(encode_event(record))

    def close(self) -> None:
        """Makes what was appended safe against a power cut, and closes the file."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                taken = f"No space left on device: only {written} of {len(line)} bytes were taken"
                raise OSError(errno.ENOSPC, taken, str(self.folder / FILE))
        except OSError:
            os.ftruncate(self._descriptor, self._size)  # half a line would swallow the next one
            raise
        self._size += len(line)

    def _relative(self, path: str) -> str:
        home = self.folder.absolute().parent
        absolute = Path(path).absolute()
        return str(absolute.relative_to(home)) if absolute.is_relative_to(home) else str(absolute)

    def _cut_tail(self) -> None:
        path = self.folder / FILE
        content = path.read_bytes()
        sound = content.rfind(b"\n") + 1
        tail = content[sound:]
        if tail:
            if sound:
                read_sweep_id(self.folder)  # nothing is cut off a file that is none of ours
            with (self.folder / CUT).open("ab") as aside:
                aside.write(tail + b"\n")
            os.ftruncate(self._descriptor, sound)
            self.warnings.append(
                f"{path}: the last record was cut short ({len(tail)} bytes without an end of line, kept in "
                f"{CUT}); the records before it are whole"
            )
        bad = _count_damaged(content[:sound])
        if bad:
            self.warnings.append(f"{path}: damaged lines, stepped over: {bad}")


def read_sweep_id(folder: Path) -> str:
    """The sweep's identity, from the first line of its spool; EventLogError where there is none."""
    path = Path(folder) / FILE
    try:
        with path.open("rb") as file:
            header = _unframe(file.readline())
    except FileNotFoundError:
        raise EventLogError(f"{path}: expected the records of a sweep, found no such file") from None
    if header is None or header.get("kind") != "EventLog":
        raise EventLogError(
            f"{path}: expected a spool's header on the first line, found something else; "
            "put a copy back, or move the folder away to track the sweep anew"
        )
    if header.get("version") != VERSION:
        found = header.get("version")
        raise EventLogError(f"{path}: expected version {VERSION}, got {found}; use the harness that wrote it")
    return str(header.get("id"))


def read_events(folder: Path, offset: int = 0) -> Iterator[tuple[Event | None, int]]:
    """Whole lines from byte `offset` on, as (record or None, offset behind the line); see `decode` for None.

    A last line without its newline is not given: it is still being written, or the tail of a cut.
    """
    with (Path(folder) / FILE).open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield decode_event(line), offset


def count_damaged_lines(folder: Path, start: int, end: int) -> int:
    """How many lines between the bytes `start` and `end` have a wrong checksum."""
    with (Path(folder) / FILE).open("rb") as file:
        file.seek(start)
        return _count_damaged(file.read(end - start))


def _count_damaged(content: bytes) -> int:
    return sum(_unframe(line) is None for line in io.BytesIO(content))
