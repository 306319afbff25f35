"""The function `search`: from a validated space to its summary, continuing whatever earlier sessions left.

Ray and Optuna take seconds to import: that is done only once the input has been checked.
"""

import sys
import time
from pathlib import Path
from typing import Any

from harness.common.atomic_files import write_text
from harness.common.errors import InputError
from harness.results import SweepSummary
from harness.results.provenance import WarmStartOrigin
from harness.results.sweep_data import check_data, example_configs
from harness.search.warm_start import earlier_sweep
from harness.search.warm_start import warm_start as find_warm_start
from harness.session import RunOptions, Session, check_servers, open_session
from harness.space import Space, SpaceError, difference, dump, load
from harness.tracking.provenance import collect
from harness.tracking.spool.events import SEEDS_TAG, ArtifactsAdded, SweepEnded, SweepStarted
from harness.tuning.storage.sweep_folder import SweepFolder, check_inside, is_sweep_name
from harness.tuning.storage.workspace import SweepAccess, Workspace, open_workspace


def search(
    space: Space,
    *,
    name: str | None = None,
    runs_dir: Workspace | Path | str = "runs",
    address: str | None = None,
    tracking_uri: str | None = None,
    warm_start: str | None = None,
    retry_failed: bool = False,
    log_models: bool = False,
    system_metrics: bool = False,
    verbose: bool = False,
    quiet: bool = False,
) -> SweepSummary:
    """Run the missing trials of a sweep, and summarise all of them.

    Args:
        space: what is searched, with its budget.
        name: the sweep's folder in `runs_dir`; by default the study's name.
        runs_dir: a folder, or an address in an object store.
        address: of a Ray cluster; by default one is started on this machine, and shut down at the end.
        tracking_uri: of MLflow; by default a SQLite file in `runs_dir`.
        warm_start: an earlier sweep, as `NAME:K`, whose best configurations are tried first.
        retry_failed: run failed trials again, under their numbers.
        log_models: log the model of each arm's best trial to MLflow, of the trials run from now on.
        system_metrics: log the load of this machine to MLflow, on the sweep's own run.
        verbose: show each trial's end, and Ray's log.
        quiet: show no progress.

    Raises:
        InputError: the name is not valid or belongs to another space; or the data are not there, or not those that
            the sweep began with.
        DataError: the data cannot be read, or no trial can use them.
        FolderError: the folder cannot be written or another process holds it; or there is no sweep to start from.
        DiskError: the disk became full. The same call continues once there is space.
        InputError: the earlier sweep has nothing to start from.
        TrackingError, ClusterError: there is no such server or cluster. Nothing was created.
    """
    began = time.monotonic()
    budget = space.search.time_budget_seconds
    deadline = None if budget is None else began + budget
    name = name or space.study
    check_name(name)
    options = RunOptions(address=address, tracking_uri=tracking_uri, verbose=verbose, quiet=quiet)
    with open_workspace(runs_dir, *sweep_accesses(name, warm_start)) as workspace:
        path = workspace.local / name
        check_inside(workspace.local, name, "--name")
        uri = check_servers(options, workspace.local, None)
        space, warm_start_origin = apply_warm_start(space, warm_start, workspace.local, name, quiet=quiet)
        check_same_space(space, path)
        data = check_data(example_configs(space), path, options.show, remedy="choose another --name")
        provenance = collect(warm_start=warm_start_origin)

        def write_inputs(folder: SweepFolder) -> None:
            provenance.save(folder.provenance)  # before the space, whose points it explains
            data.save(folder.path)
            write_text(folder.space, dump(space))

        with open_session(workspace, name, space, uri, options, data=data, write_inputs=write_inputs) as session:
            session.start_tracking(
                _sweep_started(session.folder, space, {**provenance.tags, **data.tags}),
                trial_tags=provenance.trial_tags,
                system_metrics=system_metrics,
            )
            for number in session.study.retry_failed() if retry_failed else []:
                session.folder.remove_trial_files(number, workspace)
            cut_short = session.study.missing > 0 and session.run(
                session.study, _progress(session), deadline=deadline, keep_models=log_models, check_memory=True
            )
            summary = _summarise(session, time.monotonic() - began)
            if log_models:
                _log_models(session, summary)
            status = session.finish(_end_event(summary, cut_short))
            interrupted = cut_short and (deadline is None or time.monotonic() < deadline)
            ended = {"mlflow": status, "cut_short": cut_short, "interrupted": interrupted}
            summary = summary.model_copy(update=ended)
            summary.save(session.folder.summary)
        from harness.report import report  # the figures' libraries take seconds to import

        report(path)
    return summary


def sweep_accesses(name: str, warm_start: str | None, *, writes: bool = True) -> list[SweepAccess]:
    """The sweeps that a search works on: its own, and the one that it starts from."""
    uses = [SweepAccess(name, writes=writes, must_exist=False, argument="--name")]
    earlier = earlier_sweep(warm_start) if warm_start is not None else name
    if earlier != name and Path(earlier).name == earlier:
        uses.append(SweepAccess(earlier, writes=False, must_exist=False, argument="--warm-start"))
    return uses


def apply_warm_start(
    space: Space, warm_start: str | None, runs: Path, name: str, *, quiet: bool = False
) -> tuple[Space, WarmStartOrigin | None]:
    """The space with the points of its warm start, which are printed, and where they come from."""
    if warm_start is None:
        return space, None
    started = find_warm_start(space, warm_start, runs, runs / name)
    if not quiet:
        print("\n".join([started.line, *(f"  {line}" for line in started.left_out)]), flush=True)
    return started.space, started.origin


def _progress(session: Session) -> Any:
    from harness.tuning.study.trial_record import best_trial

    records = session.study.trial_records()
    ended = sum(record.state != "running" for record in records)
    top = best_trial(records, session.space)
    return session.progress(
        session.study.missing + ended,
        ended=ended,
        failed=sum(record.state == "failed" for record in records),
        best=None if top is None or top.value is None else (top.value, top.name),
    )


def _log_models(session: Session, summary: SweepSummary) -> None:
    """Log the model of each arm's best trial; problems are printed, not raised."""
    from harness.tracking.mlflow_view import logged_models

    folder = session.folder
    best = {
        result.trial: session.space.arm(name).config(result.params).model_dump()
        for name, result in summary.arms.items()
        if result.trial is not None
        and result.params is not None
        and (folder.trial(result.trial) / logged_models.WEIGHTS).exists()
    }
    problem = (
        logged_models.make_models(folder.trials, best)
        if best
        else "no best trial left its weights; they ran without this"
    )
    if problem:
        print(f"--log-models: {problem}", file=sys.stderr)
    for number in best:
        model = folder.trial(number) / logged_models.MODEL
        if model.exists():
            session.tracker.append(ArtifactsAdded(trial=number, artifacts=(str(model),)))


def check_name(name: str) -> None:
    """Raise InputError unless `name` can be a sweep's folder."""
    if not is_sweep_name(name):
        raise InputError(
            f"--name: expected letters, digits and ._- (a letter or digit first, 100 at most), got {name!r}; "
            "it becomes a folder's name"
        )


def check_same_space(space: Space, path: Path) -> None:
    """Raise InputError if a sweep of that name exists whose space differs in more than its budget."""
    if not (path / "space.yaml").exists():
        return
    try:
        before = load(path / "space.yaml")
    except SpaceError as error:
        raise InputError(f"{path}: its space.yaml cannot be read; choose another --name\n{error}") from error
    changes = difference(before, space)
    if changes:
        lines = "\n".join(f"  {line}" for line in changes)
        raise InputError(
            f"{path}: this name is another space's; choose another --name, or undo these changes:\n{lines}"
        )


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


def _end_event(summary: SweepSummary, cut_short: bool) -> SweepEnded:
    metrics = {f"trials_{state}": float(count) for state, count in summary.states.model_dump().items()}
    if summary.best is not None:
        metric = summary.objective.metric
        metrics[f"best_{metric}"] = getattr(summary.best, metric)
    if summary.is_multi_objective:
        metrics["front_trials"] = float(len(summary.front))
    if cut_short:
        return SweepEnded(state="interrupted", metrics=metrics)
    return SweepEnded(state="complete" if summary.best else "failed", metrics=metrics)


def _summarise(session: Session, seconds: float) -> SweepSummary:
    from harness.tuning.study.summary import summarise_sweep

    earlier = SweepSummary.load_or_none(session.folder.path)
    wall_seconds = seconds + (earlier.wall_seconds if earlier is not None else 0.0)
    records = session.study.trial_records()
    return summarise_sweep(session.space, records, name=session.folder.path.name, wall_seconds=wall_seconds)
