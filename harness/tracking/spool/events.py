"""Events of a sweep, and their JSON form. Times are in milliseconds since the epoch."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from harness.common.checksums import decode_line, encode_line

Scalar = str | int | float | bool

SEEDS_TAG = "seeds_per_trial"
"""Tag of a sweep and of its trials: number of seeds per trial; the trial's metrics are means over them."""


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base class of all events."""

    types: ClassVar[dict[str, type["Event"]]] = {}
    time: int = field(default_factory=now_ms)

    def __init_subclass__(cls) -> None:
        Event.types[cls.__name__] = cls


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEvent(Event):
    """Base class of the events of one trial."""

    trial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepStarted(Event):
    """A sweep starts or continues; its MLflow run is the parent run.

    The tag `study` names the MLflow experiment (default: the sweep's name). MLflow parameters cannot change, so what
    may differ when a sweep continues (its budget) belongs in `tags`. `artifacts` are paths of files.
    """

    name: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted(TrialEvent):
    """A trial starts or continues; its MLflow run is a child run, one per trial number."""

    name: str
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUsed(TrialEvent):
    """Data sets of a trial; each part has `context`, `name`, `source`, `digest`, `images` and more."""

    parts: tuple[Mapping[str, Scalar], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics(TrialEvent):
    """Metrics of one epoch of a trial; `step` is the epoch, from 1."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded(TrialEvent):
    """A trial ends; `metrics` are its final values, reached at epoch `step`."""

    state: Literal["complete", "pruned", "failed"]
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    artifacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactsAdded(TrialEvent):
    """More files or folders of a trial that has ended."""

    artifacts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWarning(TrialEvent):
    """A warning about a trial, such as a damaged checkpoint."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMetrics(Event):
    """Load of the driver's machine; `step` is in seconds since the sweep started."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEnded(Event):
    """The sweep ends: its budget is spent, it has no result (`failed`), or the same command continues it later."""

    state: Literal["complete", "failed", "interrupted"] = "complete"
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


def encode_event(event: Event) -> bytes:
    """Encode `event` as a line of JSON with a checksum."""
    values = {field.name: _to_json(getattr(event, field.name)) for field in fields(event)}
    return encode_line({"kind": type(event).__name__, **values})


def decode_event(line: bytes) -> Event | None:
    """The event in a line; None for a damaged line, the header, or an event that this version does not know."""
    values = decode_line(line)
    if values is None or (event_type := Event.types.get(str(values.pop("kind", None)))) is None:
        return None
    try:
        if "metrics" in values:
            values["metrics"] = {name: float(value) for name, value in values["metrics"].items()}
        for name in {"artifacts", "parts"} & values.keys():
            values[name] = tuple(values[name])
        return event_type(**values)
    except (TypeError, ValueError, AttributeError):
        return None


def _to_json(value: object) -> Any:
    """Convert NumPy numbers to Python's; NaN and infinity become strings that `float` reads."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, bool | str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    return _to_json(float(value))  # type: ignore[arg-type]
