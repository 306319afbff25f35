"""A batch of records folded into one change per run: what the server has to be told, each thing once.

    complete → FINISHED     pruned → KILLED     failed → FAILED     interrupted → KILLED     else RUNNING

Folding is pure, and folding twice what was folded before says nothing new: a batch may be sent again at any time.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.tracking.spool.event_log import (
    ArtifactsAdded,
    DatasetUsed,
    EpochMetrics,
    Event,
    Scalar,
    SweepEnded,
    SweepPaused,
    SweepStarted,
    SystemMetrics,
    TrialEnded,
    TrialStarted,
    TrialWarning,
)

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "interrupted": "KILLED"}
RUNNING = "RUNNING"


class Point(NamedTuple):
    """A point of a curve; `time` in milliseconds since the epoch, `step` the epoch."""

    name: str
    value: float
    time: int
    step: int


@dataclass(slots=True)
class Change:
    """What a batch of records says about one run; times in milliseconds since the epoch."""

    start_time: int
    name: str | None = None
    params: dict[str, Scalar] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    data: list[Mapping[str, Scalar]] = field(default_factory=list)
    status: str | None = None
    end_time: int | None = None

    def measure(self, metrics: Iterable[tuple[str, float]], step: int, time: int) -> None:
        """Adds a point of each curve; one that is not a number cannot be drawn, and becomes a tag."""
        for name, value in metrics:
            if math.isfinite(value):
                self.points.append(Point(name, value, time, step))
            else:
                self.tags[f"nonfinite.{name}"] = f"{value} at step {step}"

    def turn(self, state: str, time: int) -> None:
        self.tags["state"] = state
        self.status = STATUS.get(state, RUNNING)
        self.end_time = time if state in STATUS else None


def updates_by_run(records: Iterable[Event]) -> dict[int | None, Change]:
    """One change per run: by trial number, the sweep's own under None."""
    changes: dict[int | None, Change] = {}
    for record in records:
        change = changes.setdefault(trial_of(record), Change(start_time=record.time))
        match record:
            case SweepStarted() | TrialStarted():
                change.name = record.name
                change.tags.pop("reason", None)  # of an end that was none
                change.params |= record.params
                change.tags |= record.tags
                change.turn("running", record.time)
            case EpochMetrics() | SystemMetrics():
                change.measure(record.metrics.items(), record.step, record.time)
            case DatasetUsed():
                change.data += record.parts
                # The sweep itself has all that its trials saw, each once.
                changes.setdefault(None, Change(start_time=record.time)).data += record.parts
            case TrialEnded():
                change.measure(record.metrics.items(), record.step, record.time)
                if record.reason:
                    change.tags["reason"] = record.reason
                change.turn(record.state, record.time)
            case TrialWarning():
                change.tags["remark"] = record.text
            case SweepPaused():
                change.measure(record.metrics.items(), 0, record.time)
                change.tags["reason"] = record.reason
                change.turn("interrupted", record.time)
            case SweepEnded():
                change.measure(record.metrics.items(), 0, record.time)
                change.tags |= record.tags
                change.turn(record.state, record.time)
        if isinstance(record, SweepStarted | TrialEnded | ArtifactsAdded | SweepEnded):
            change.artifacts += record.artifacts
    return changes


def trial_of(record: Event) -> int | None:
    return None if isinstance(record, SweepStarted | SystemMetrics | SweepPaused | SweepEnded) else record.trial
