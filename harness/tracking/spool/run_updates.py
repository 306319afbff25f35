"""Events grouped into one update per MLflow run, so that each thing is sent once.

    complete → FINISHED     pruned → KILLED     failed → FAILED     interrupted → KILLED     else RUNNING

Grouping is pure, so a batch may be sent again at any time.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.tracking.spool.events import (
    DatasetUsed,
    EpochMetrics,
    Event,
    Scalar,
    SweepEnded,
    SweepStarted,
    SystemMetrics,
    TrialEnded,
    TrialEvent,
    TrialStarted,
    TrialWarning,
)

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's status of a run by the state of a sweep or trial."""
RUNNING = "RUNNING"


class MetricPoint(NamedTuple):
    """One point of a curve; `time` in milliseconds since the epoch, `step` the epoch of training."""

    name: str
    value: float
    time: int
    step: int


@dataclass(slots=True)
class RunUpdate:
    """Changes of one run from a batch of events; times in milliseconds since the epoch."""

    start_time: int
    name: str | None = None
    params: dict[str, Scalar] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[MetricPoint] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    datasets: list[Mapping[str, Scalar]] = field(default_factory=list)
    status: str | None = None
    end_time: int | None = None

    def add_points(self, metrics: Mapping[str, float], step: int, time: int) -> None:
        """Add one point per metric; a value that is not finite becomes a tag."""
        for name, value in metrics.items():
            if math.isfinite(value):
                self.points.append(MetricPoint(name, value, time, step))
            else:
                self.tags[f"nonfinite.{name}"] = f"{value} at step {step}"

    def set_state(self, state: str, time: int) -> None:
        self.tags["state"] = state
        self.status = STATUS.get(state, RUNNING)
        self.end_time = time if state in STATUS else None


def updates_by_run(events: Iterable[Event]) -> dict[int | None, RunUpdate]:
    """Return one update per run, by trial number; the sweep's own run is under None."""
    updates: dict[int | None, RunUpdate] = {}
    for event in events:
        trial = event.trial if isinstance(event, TrialEvent) else None
        update = updates.setdefault(trial, RunUpdate(start_time=event.time))
        match event:
            case SweepStarted() | TrialStarted():
                update.name = event.name
                update.tags.pop("reason", None)  # the run continues, so its earlier end was none
                update.params |= event.params
                update.tags |= event.tags
                update.set_state("running", event.time)
            case EpochMetrics() | SystemMetrics():
                update.add_points(event.metrics, event.step, event.time)
            case DatasetUsed():
                update.datasets += event.parts
                updates.setdefault(None, RunUpdate(start_time=event.time)).datasets += event.parts
            case TrialWarning():
                update.tags["warning"] = event.text
            case TrialEnded() | SweepEnded():
                update.add_points(event.metrics, event.step if isinstance(event, TrialEnded) else 0, event.time)
                if event.reason:
                    update.tags["reason"] = event.reason
                update.set_state(event.state, event.time)
        update.artifacts += getattr(event, "artifacts", ())
    return updates
