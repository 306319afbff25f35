"""The function `confirm`: from a searched sweep to `confirm.json`, continuing whatever earlier sessions left.

Ray and Optuna take seconds to import: that is done only once the input has been checked.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.common.errors import InputError, NothingCompleted
from harness.results import Confirmation
from harness.results.confirmation import Evaluation
from harness.results.provenance import Provenance
from harness.results.sweep_data import check_data, example_configs
from harness.session import RunOptions, Session, check_servers, open_session
from harness.space import load
from harness.tracking.provenance import collect
from harness.tuning.storage.sweep_folder import find_sweep
from harness.tuning.storage.workspace import SweepAccess, Workspace, open_workspace

if TYPE_CHECKING:
    from harness.confirm.plan import SeedPlan
    from harness.tuning.study.sweep_study import SweepStudy

DEFAULT_SEEDS = 10
DEFAULT_MARGIN = 0.5
"""Smallest difference of interest, in points of accuracy."""
MAX_SEQUENTIAL_SEEDS = 50
"""Limit of a sequential confirmation without --seeds and --budget."""
MIN_SEQUENTIAL_SEEDS = 3
"""Seeds before a sequential confirmation is judged for the first time."""


@dataclass(frozen=True)
class ConfirmationSize:
    """Size of a confirmation: configurations, seeds and runs.

    Attributes:
        top: configurations of each arm; of a baseline always one.
        seeds: of each configuration; of a sequential confirmation, the most. Existing results are always used.
        sequential: add seeds until the interval is clear of zero.
        budget: runs in all, those of earlier sessions included.
    """

    top: int = 3
    seeds: int | None = None
    sequential: bool = False
    budget: int | None = None

    def max_seeds(self, configurations: int) -> int:
        """The most seeds of each of so many configurations.

        Raises:
            InputError: the budget does not cover one seed.
        """
        seeds = self.seeds or (DEFAULT_SEEDS if not self.sequential else MAX_SEQUENTIAL_SEEDS)
        if self.budget is None:
            return seeds
        affordable = self.budget // configurations
        if affordable < 1:
            raise InputError(
                f"--budget: expected at least {configurations} runs, one seed of each of the {configurations} "
                f"configurations, got {self.budget}; allow more, or confirm fewer with --top"
            )
        return affordable if self.sequential and self.seeds is None else min(seeds, affordable)


def confirm(
    name: str,
    *,
    top: int = 3,
    seeds: int | None = None,
    sequential: bool = False,
    budget: int | None = None,
    runs_dir: Workspace | Path | str = "runs",
    address: str | None = None,
    tracking_uri: str | None = None,
    concurrency: int | None = None,
    margin: float = DEFAULT_MARGIN,
    retry_failed: bool = False,
    verbose: bool = False,
    quiet: bool = False,
) -> Confirmation:
    """Train the best configurations of a sweep again on fresh seeds, and judge them on the test part.

    Args:
        name: the sweep, a folder in `runs_dir`.
        top: configurations of each arm; of a baseline always one.
        seeds: fresh seeds of each configuration, by default 10. With `sequential` the most of them, by default 50.
        sequential: add seeds until the interval is clear of zero; keeps the error rate of one test.
        budget: runs in all, those of earlier calls included.
        runs_dir: a folder, or an address in an object store.
        address: of a Ray cluster; by default one is started on this machine, and shut down at the end.
        tracking_uri: of MLflow; by default the server that the search used.
        concurrency: the most runs at once; by default as many as the search had, or as fit.
        margin: the smallest difference of interest, in points of accuracy.
        retry_failed: run again what diverged, such as after a change of the code. What failed otherwise has no result,
            and is always run again.
        verbose: show each run's end, and Ray's log.
        quiet: show no progress.

    Raises:
        FolderError: there is no such sweep, or another process holds it.
        SpaceError: its space file cannot be read.
        InputError: the budget does not cover one seed, or the data are not those of the search.
        DataError: the data cannot be read.
        NothingCompleted: no arm has a complete trial.
        TrackingError, ClusterError: there is no such server or cluster. Nothing was run.
        KeyboardInterrupt: the results so far are kept; the same call continues.
    """
    size = ConfirmationSize(top, seeds, sequential, budget)
    options = RunOptions(address, tracking_uri, concurrency, verbose, quiet)
    with open_workspace(runs_dir, SweepAccess(name)) as workspace:
        path = find_sweep(workspace.local, name)
        uri = check_servers(options, workspace.local, path)
        space = load(path / "space.yaml")
        data = check_data(example_configs(space), path, options.show)
        from harness.confirm.findings import caveats

        with open_session(workspace, name, space, uri, options, data=data) as session:
            plan = _plan(session.study, path, size.top)
            if retry_failed:
                plan.discard_failed(workspace)
            provenance = collect()
            confirmation, failures = _run_and_judge(session, plan, size, margin / 100, provenance)
            evaluations = _evaluations(path, confirmation)
            notes = [*confirmation.notes, *caveats(session.study.missing_by_arm(), failures, evaluations)]
            confirmation = confirmation.model_copy(
                update={"provenance": provenance, "evaluations": evaluations, "notes": notes}
            )
            confirmation.save(path)
            status = session.finish(
                tags={"verdict": confirmation.verdict},
                artifacts=[confirmation.file],
                metrics=_tracked_metrics(confirmation),
            )
        from harness.report import report  # the figures' libraries take seconds to import

        report(path)
    return confirmation.model_copy(update={"lost": failures, "mlflow": status})


def _plan(study: "SweepStudy", path: Path, top: int) -> "SeedPlan":
    from harness.confirm.configurations import choose_configurations, fresh_seeds
    from harness.confirm.plan import SeedPlan

    records = study.trial_records()
    chosen = choose_configurations(study.space, records, top)
    if not any(configuration.role == "arm" for configuration in chosen):
        raise NothingCompleted(f"{path}: no arm has a complete trial yet; go on with the search, then confirm")
    return SeedPlan(chosen, fresh_seeds(study.space, records), path / "confirm")


def _run_and_judge(
    session: Session, plan: "SeedPlan", size: ConfirmationSize, margin: float, provenance: Provenance
) -> tuple[Confirmation, dict[str, str]]:
    """Run what is missing and judge it: once, or of a sequential confirmation until it is decided.

    Returns:
        The confirmation, and the runs without a result, with the reason.
    """
    from harness.confirm.verdict import DECIDED

    most = max(size.max_seeds(len(plan.configurations)), plan.n_complete_seeds())
    seeds = min(most, max(MIN_SEQUENTIAL_SEEDS, plan.n_complete_seeds())) if size.sequential else most

    def more_seeds() -> int:
        """The number of seeds to go on to, once all runs on `seeds` have ended."""
        nonlocal seeds
        while seeds < most and not plan.missing(seeds):
            if _confirmation(session, plan, size, seeds, margin).outcome in DECIDED:
                break
            at_once = session.slots() // len(plan.configurations) if session.slots is not None else 1
            seeds = min(most, seeds + max(1, at_once))
        return seeds

    failures = run_plan(session, plan, more_seeds(), most, provenance, "runs", more_seeds if size.sequential else None)
    return _confirmation(session, plan, size, seeds, margin), failures


def run_plan(
    session: Session,
    plan: "SeedPlan",
    seeds: int,
    most: int,
    provenance: Provenance,
    noun: str,
    more_seeds: Callable[[], int] | None = None,
    cluster_stack: ExitStack | None = None,
) -> dict[str, str]:
    """Run what `plan` lacks for `seeds` seeds; returns the runs without a result, with the reason.

    Args:
        most: the most seeds that `more_seeds` may ask for.
        provenance: of the runs.
        noun: what the progress display counts.

    Raises:
        KeyboardInterrupt: the runs were interrupted.
    """
    from harness.confirm.plan_source import PlanSource

    session.start_tracking(trial_tags=provenance.trial_tags)
    ended = plan.results(most)
    for run, result in ended:
        if not session.event_logger.has_end(run.number):  # a kill fell between the two writes
            session.event_logger(plan.end_event(run, result, session.workspace))
    source = PlanSource(plan, seeds, session.workspace, more_seeds)
    if source.missing:
        progress = session.progress(
            most * len(plan.configurations),
            ended=len(ended),
            failed=sum(result.state == "failed" for _, result in ended),
            noun=noun,
            ranked=False,
        )
        if session.run(source, progress, cluster_stack=cluster_stack):
            raise KeyboardInterrupt
    return source.failures


def _confirmation(
    session: Session, plan: "SeedPlan", size: ConfirmationSize, seeds: int, margin: float
) -> Confirmation:
    from harness.confirm.evidence import ComparisonSpec
    from harness.confirm.findings import build_confirmation
    from harness.statistics import AnytimeValid, FixedSample  # SciPy takes a second to import

    arms = {configuration.name for configuration in plan.configurations if configuration.role == "arm"}
    n_comparisons = len(arms | plan.tested_configurations())
    spec = ComparisonSpec(AnytimeValid() if size.sequential else FixedSample(), n_comparisons, margin)
    config = plan.configurations[0].config
    return build_confirmation(
        session.space,
        plan.results_by_configuration(seeds),
        spec,
        name=session.folder.path.name,
        n=seeds,
        chance=None if session.data is None else session.data.chance(config),
    )


def _evaluations(path: Path, confirmation: Confirmation) -> list[Evaluation]:
    """Every number of seeds at which this sweep was judged, this one last, and by which rule."""
    evaluation = Evaluation(n=confirmation.n, sequential=confirmation.sequential)
    earlier = Confirmation.load_or_none(path)
    evaluations = earlier.evaluations if earlier is not None else []
    return evaluations if evaluation in evaluations else [*evaluations, evaluation]


def _tracked_metrics(confirmation: Confirmation) -> dict[str, float]:
    """The numbers of the verdict, for MLflow; an infinite bound is left out."""
    numbers = {"confirm_seeds": float(confirmation.n)}
    if confirmation.gain is not None:
        low, high = confirmation.gain.ci95
        bounds = {"confirm_gain": confirmation.gain.mean_difference, "confirm_gain_low": low, "confirm_gain_high": high}
        numbers |= {name: bound for name, bound in bounds.items() if bound is not None}
    return numbers
