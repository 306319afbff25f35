"""A small sweep as the driver would record it, and what a server shows of it."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.data import get_source
from mlflow.entities import DatasetInput, ViewType

from harness.tracking.mlflow_view.writer_process import EventSender
from harness.tracking.spool.event_log import EventLog
from harness.tracking.spool.events import (
    DatasetUsed,
    EpochMetrics,
    Event,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialStarted,
)

EPOCHS = 5
BEGIN = 1_700_000_000_000  # milliseconds since the epoch
STATES = ("complete", "pruned", "failed")


def trial_events(trial: int, epochs: int = EPOCHS) -> Iterator[Event]:
    """Trial 0 completes, trial 1 is pruned, trial 2 diverges, and so on in turn."""
    state, start = STATES[trial % 3], BEGIN + 60_000 * trial
    params = {"label_lr": 0.1 * (trial + 1), "meta_interval": trial + 1, "method": "learned", "train_on_meta": False}
    yield TrialStarted(trial=trial, name=f"learned-{trial:03d}", params=params, tags={"arm": "learned"}, time=start)
    parts = tuple(
        {"context": context, "name": "toy", "source": "data/toy", "digest": f"{context}-{trial % 2}", "images": 7}
        for context in ("train", "validation")
    )
    yield DatasetUsed(trial=trial, parts=parts, time=start + 500)
    for epoch in range(1, epochs + 1):
        diverged = state == "failed" and epoch == epochs
        loss = math.nan if diverged else 2.0 / epoch + trial
        metrics = {"train_loss": loss, "val_accuracy": epoch / (epochs + trial + 1)}
        yield EpochMetrics(trial=trial, step=epoch, metrics=metrics, time=start + 1000 * epoch)
    yield TrialEnded(
        trial=trial, state=state, reason="diverged" if state == "failed" else "", time=start + 1000 * (epochs + 1)
    )


def sweep_events(trials: int = 3) -> Iterator[Event]:
    yield SweepStarted(name="a study", params={"sampler": "tpe"}, tags={"commit": "abc"}, time=BEGIN)
    for trial in range(trials):
        yield from trial_events(trial)
    yield SweepEnded(metrics={"best_val_accuracy": 0.8}, time=BEGIN + 60_000 * (trials + 1))


def write_events(folder: Path, events: Iterable[Event]) -> Path:
    """Append `events` to the event log in `folder`, which is returned."""
    with EventLog(folder) as log:
        for event in events:
            log.append(event)
    return folder


def send(folder: Path, uri: str, rebuild: bool = False) -> None:
    """Send everything by a sender that starts anew."""
    sender = EventSender(folder, uri, rebuild)
    while sender.send():
        pass


def shown(uri: str, study: str = "a study") -> dict[str, dict[str, Any]]:
    """All that the server shows of a study, by the runs' names; without the ids, which no two servers share."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return {}
    runs = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL, max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    assert len(set(names.values())) == len(names), f"two runs of one name: {sorted(names.values())}"
    return {
        run.info.run_name: {
            "status": run.info.status,
            "start_time": run.info.start_time,
            "end_time": run.info.end_time,
            "parent": names.get(run.data.tags.get("mlflow.parentRunId", "")),
            "params": dict(run.data.params),
            "tags": {key: value for key, value in run.data.tags.items() if key != "mlflow.parentRunId"},
            "curves": {
                key: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            },
            "data": sorted(map(_input, client.get_run(run.info.run_id).inputs.dataset_inputs)),
            "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        }
        for run in runs
    }


def _input(data: DatasetInput) -> tuple[str, ...]:
    """Context, name, digest, source and profile."""
    source = get_source(data.dataset)
    (context,) = (tag.value for tag in data.tags if tag.key == "mlflow.data.context")
    return context, data.dataset.name, data.dataset.digest, source.uri, data.dataset.profile
