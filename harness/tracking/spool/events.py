"""Events of a sweep, and their JSON form. Times are in milliseconds since the epoch."""

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from harness.common.checksums import decode_line, encode_line

Scalar = str | int | float | bool

SEEDS_TAG = "seeds_per_trial"
"""Tag of a sweep and of its trials: number of seeds per trial; the trial's metrics are means over them."""


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStarted:
    """A sweep starts or continues; its MLflow run is the parent run.

    The tag `study` names the MLflow experiment (default: the sweep's name). MLflow parameters cannot change, so what
    may differ when a sweep continues (its budget) belongs in `tags`. `artifacts` are paths of files.
    """

    name: str
    params: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A trial starts or continues; its MLflow run is a child run, one per trial number."""

    trial: int
    name: str
    params: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUsed:
    """Data sets of a trial; each part has `context`, `name`, `source`, `digest`, `images` and more."""

    trial: int
    parts: tuple[Mapping[str, Scalar], ...]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """Metrics of one epoch of a trial; `step` is the epoch, from 1."""

    trial: int
    step: int
    metrics: Mapping[str, float]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial ends; `metrics` are its final values, reached at epoch `step`."""

    trial: int
    state: Literal["complete", "pruned", "failed"]
    reason: str = ""
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    step: int = 0
    artifacts: tuple[str, ...] = ()
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactsAdded:
    """More files or folders of a trial that has ended."""

    trial: int
    artifacts: tuple[str, ...]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWarning:
    """A warning about a trial, such as a damaged checkpoint."""

    trial: int
    text: str
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMetrics:
    """Load of the driver's machine; `step` is in seconds since the sweep started."""

    step: int
    metrics: Mapping[str, float]
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPaused:
    """The sweep is interrupted; the same command continues it."""

    reason: str = "interrupted"
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    time: int = dataclasses.field(default_factory=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEnded:
    """The sweep ends: its budget is spent (`complete`), or it has no result (`failed`)."""

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

EVENT_TYPES: dict[str, type[Event]] = {event_type.__name__: event_type for event_type in get_args(Event)}


def encode_event(event: Event) -> bytes:
    """Encode `event` as a line of JSON with a checksum."""
    fields = {field.name: _to_json(getattr(event, field.name)) for field in dataclasses.fields(event)}
    return encode_line({"kind": type(event).__name__, **fields})


def decode_event(line: bytes) -> Event | None:
    """The event in a line; None for a damaged line, the header, or an event that this version does not know."""
    fields = decode_line(line)
    if fields is None or (event_type := EVENT_TYPES.get(str(fields.pop("kind", None)))) is None:
        return None
    try:
        if "metrics" in fields:
            fields["metrics"] = {name: float(value) for name, value in fields["metrics"].items()}
        for name in ("artifacts", "parts"):
            if name in fields:
                fields[name] = tuple(fields[name])
        return event_type(**fields)
    except (TypeError, ValueError, AttributeError):
        return None


def _to_json(value: object) -> Any:
    """Convert NumPy numbers to Python's; NaN and infinity become strings that `float` reads."""
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, bool | str | int):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else str(number)
