"""One sitting at a sweep: from a validated space to its summary, whatever earlier sittings left.

Ray and Optuna take seconds to import: that is done only after the input was found good.
"""

import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.common.atomic_files import write_text
from harness.common.errors import HarnessError
from harness.common.json_files import read_json, write_json
from harness.search.warm_start import WarmStart
from harness.search.warm_start import warm_start as warmed
from harness.space import CategoricalParameter, Space, SpaceError, difference, dump, load
from harness.tracking import provenance
from harness.tracking.spool.event_log import (
    SEEDS_TAG,
    ArtifactsAdded,
    Event,
    SweepEnded,
    SweepPaused,
    SweepStarted,
    TrialEnded,
)
from harness.tracking.tracker import Tracker
from harness.tracking.tracking_uri import check_server, resolve_uri
from harness.training.config.checks import check_data
from harness.tuning.cluster.address import check_address
from harness.tuning.storage.sweep_folder import SweepFolder, check_inside
from harness.tuning.storage.workspace import Workspace, local_workspace

if TYPE_CHECKING:
    from harness.tuning.study.sweep_study import SweepStudy


class Refused(HarnessError):
    """Bad input that shows beside what is there already. Nothing was changed."""


@dataclass(frozen=True)
class Outcome:
    """`summary` is the content of summary.json; `cut_short`: the budget is not spent, the same call goes on."""

    summary: dict[str, Any]
    folder: Path
    cut_short: bool
    interrupted: bool


def search(
    space: Space,
    *,
    name: str | None = None,
    runs_dir: Workspace | Path | str = "runs",
    address: str | None = None,
    tracking_uri: str | None = None,
    warm_start: str | WarmStart | None = None,
    retry_failed: bool = False,
    log_models: bool = False,
    system_metrics: bool = False,
    verbose: bool = False,
    quiet: bool = False,
) -> Outcome:
    """Run what is missing of a sweep's budget, and sum up all of it.

    Args:
        space: what is searched, with its budget.
        name: the sweep's folder in `runs_dir`; the study's name where left out.
        address: of a Ray cluster; one is started here, and ended, where left out.
        tracking_uri: of MLflow; a SQLite file inside `runs_dir` where left out.
        warm_start: an earlier sweep, as `NAME:K`, whose best configurations are tried first; or what was found there.
        retry_failed: run failed trials again, under their numbers.
        log_models: have MLflow hold the model of each arm's best trial, of those run from now on.
        system_metrics: have MLflow show how busy this machine is, on the sweep's own run.
        quiet: show no progress.

    Raises:
        Refused: this name is no name, or another sweep's; or the data of a run are not there.
        FolderError: the folder cannot be written, or another driver holds it; or there is no sweep to start from.
        DiskError: the disk took nothing more. The same call goes on once there is space.
        NoWarmStart: the earlier sweep has nothing to start from.
        TrackingError, ClusterError: there is no such server or cluster. Nothing was created then.
    """
    began = time.monotonic()
    budget = space.search.time_budget_seconds
    deadline = None if budget is None else began + budget
    workspace = local_workspace(runs_dir)
    runs = workspace.local
    uri = resolve_uri(tracking_uri, runs)
    path = runs / _checked(name or space.study)
    check_inside(runs, path.name, "--name")
    check_server(uri)
    if address is not None:
        check_address(address)
    started = warmed(space, warm_start, runs, path) if isinstance(warm_start, str) else warm_start
    space = space if started is None else started.space
    _check_data(space)
    check_same_question(space, path)
    from harness.tuning.execution.event_logger import EventLogger
    from harness.tuning.study.sweep_study import SweepStudy  # Optuna takes a second to import

    with SweepFolder(path) as folder:
        # One that cannot be read is refused before anything is written; a new one comes after the space it answers.
        ledger = SweepStudy(folder.journal, space) if folder.journal.exists() else None
        facts = provenance.collect() | ({} if started is None else {"warm_start": started.facts})
        write_json(folder.provenance, facts)  # before the space, whose points it explains
        write_text(folder.space, dump(space))
        tracker = Tracker(folder.spool, uri, system_metrics=system_metrics)
        tags = provenance.tags(facts)
        tracker.append(_sweep_started(folder, space, tags))
        relay = EventLogger(folder, workspace, tracker.append, provenance.of_trials(tags))
        ledger = ledger or SweepStudy(folder.journal, space)
        for warning in [*ledger.warnings, *tracker.warnings]:
            print(warning, file=sys.stderr)
        ledger.listeners.append(relay)
        ledger.apply_pending_prunings()
        relay.catch_up(ledger.trial_records())
        for number in ledger.retry_failed() if retry_failed else []:
            folder.forget(number, workspace)
        try:
            cut_short = ledger.missing > 0 and _run(
                space,
                workspace,
                folder,
                ledger,
                tracker,
                began,
                deadline,
                address=address,
                log_models=log_models,
                verbose=verbose,
                quiet=quiet,
            )
            summary = _sum_up(space, folder, ledger, time.monotonic() - began)
        except BaseException:
            with suppress(OSError):  # of a full disk, which may be why this ends
                tracker.append(SweepPaused())
                tracker.finish()
            raise
        if log_models:
            _log_models(space, folder, summary, tracker)
        interrupted = cut_short and (deadline is None or time.monotonic() < deadline)
        tracker.append(_sweep_ended(summary, cut_short))
        sent = tracker.finish()
        summary["mlflow"] = {
            "tracking_uri": sent.tracking_uri,
            "experiment": sent.experiment,
            "experiment_id": sent.experiment_id,
            "run_id": sent.run_id,
            "pending": sent.pending,
            "aside": sent.aside,
            "away": sent.away,
        }
        write_json(folder.summary, summary)
    from harness.report import report  # the figures' libraries take seconds to import

    report(path)
    return Outcome(summary, path, cut_short, interrupted)


def _run(
    space: Space,
    workspace: Workspace,
    folder: SweepFolder,
    ledger: "SweepStudy",
    tracker: Tracker,
    began: float,
    deadline: float | None,
    *,
    address: str | None,
    log_models: bool,
    verbose: bool,
    quiet: bool,
) -> bool:
    """Run the missing trials under the eyes of the user; returns whether the sweep was cut short."""
    from harness.console import SweepProgress
    from harness.tuning.cluster.cluster import joined
    from harness.tuning.execution.executor import run_sweep
    from harness.tuning.execution.gpu_share import check_share
    from harness.tuning.study.trial_record import best_trial

    search = space.search
    entries = ledger.trial_records()
    top = best_trial(entries, space)
    progress = SweepProgress(
        ledger.missing + sum(1 for entry in entries if entry.state != "running"),
        metric=space.objective.metric,
        direction=space.objective.direction,
        ended=sum(1 for entry in entries if entry.state != "running"),
        failed=sum(1 for entry in entries if entry.state == "failed"),
        best=None if top is None or top.value is None else (top.value, top.name),
        several=space.several,
        began=began,
        verbose=verbose,
        quiet=quiet,
    )
    ledger.listeners += [progress, _starting(tracker)]
    with progress, joined(address, workspace.worker_location(folder.path), verbose=verbose) as cluster:
        slots = cluster.room(search.resources, search.concurrency)
        check_share(space, slots.need)
        return run_sweep(
            space,
            folder,
            ledger,
            trials=workspace.worker_location(folder.trials),
            slots=slots,
            deadline=deadline,
            keep_models=log_models,
        )


def _log_models(space: Space, folder: SweepFolder, summary: dict[str, Any], tracker: Tracker) -> None:
    """The model of each arm's best trial onto its run; what cannot be done is said, and no more."""
    from harness.tracking.mlflow_view import logged_models

    arms = {arm.name: arm for arm in space.arms}
    best = {
        found["trial"]: arms[name].config(found["params"]).model_dump()
        for name, found in summary["arms"].items()
        if found["trial"] is not None and (folder.trial(found["trial"]) / logged_models.WEIGHTS).exists()
    }
    problem = (
        logged_models.make(folder.trials, best) if best else "no best trial left its weights; they ran without this"
    )
    if problem:
        print(f"--log-models: {problem}", file=sys.stderr)
    for number in best:
        model = folder.trial(number) / logged_models.MODEL
        if model.exists():
            tracker.append(ArtifactsAdded(trial=number, artifacts=(str(model),)))


def _starting(tracker: Tracker) -> Callable[[Event], None]:
    """Start the writer when the first trial has ended: its start would slow down the first one's."""

    def listen(record: Event) -> None:
        if isinstance(record, TrialEnded):
            tracker.start()

    return listen


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise Refused(
            f"--name: expected letters, digits and ._- (a letter or digit first, 100 at most), got {name!r}; "
            "it becomes a folder's name"
        )
    return name


def _check_data(space: Space) -> None:
    """Each arm at the low end of its parameters: are its files and its model there?"""
    configs = [
        arm.config(arm.draw(lambda name, p: p.choices[0] if isinstance(p, CategoricalParameter) else p.low))
        for arm in space.arms
    ]
    problems = dict.fromkeys(problem for config in configs for problem in check_data(config))
    if problems:
        raise Refused("\n".join(problems))


def check_same_question(space: Space, path: Path) -> None:
    """A sweep may get a larger budget, but not another question under the same name."""
    if not (path / "space.yaml").exists():
        return
    try:
        before = load(path / "space.yaml")
    except SpaceError as error:
        raise Refused(f"{path}: its space.yaml cannot be read; choose another --name\n{error}") from error
    changes = difference(before, space)
    if changes:
        lines = "\n".join(f"  {line}" for line in changes)
        raise Refused(f"{path}: this name is another space's; choose another --name, or undo these changes:\n{lines}")


def _sweep_started(folder: SweepFolder, space: Space, facts: dict[str, str]) -> SweepStarted:
    return SweepStarted(
        name=folder.path.name,
        params={"study": space.study, "seed": space.search.seed},
        tags={
            **facts,
            "study": space.study,
            "trials": str(space.search.trials),
            SEEDS_TAG: str(space.search.seeds_per_trial),
            "objective": ", ".join(map(str, space.objectives)),
        },
        artifacts=(str(folder.space), str(folder.provenance)),
    )


def _sweep_ended(summary: dict[str, Any], cut_short: bool) -> Event:
    best = summary["best"]
    metrics = {f"trials_{state}": float(count) for state, count in summary["states"].items()}
    if best is not None:
        metrics[f"best_{summary['objective']['metric']}"] = best[summary["objective"]["metric"]]
    if "front" in summary:
        metrics["front_trials"] = float(len(summary["front"]))
    if cut_short:
        return SweepPaused(metrics=metrics)
    return SweepEnded(state="complete" if best else "failed", metrics=metrics)


def _sum_up(space: Space, folder: SweepFolder, ledger: "SweepStudy", seconds: float) -> dict[str, Any]:
    from harness.tuning.study.summary import summarise

    earlier = (read_json(folder.summary) or {}).get("wall_seconds", 0.0)
    summary = {"name": folder.path.name, "study": space.study, **summarise(space, ledger.trial_records())}
    return {**summary, "wall_seconds": round(earlier + seconds, 3)}
