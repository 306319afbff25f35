"""One sitting at a confirmation: from a searched sweep to `confirm.json`, whatever earlier sittings left.

Ray and Optuna take seconds to import: that is done only after the input was found good.
"""

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.common.errors import HarnessError
from harness.common.json_files import read_json, write_json
from harness.confirm.tracked import metrics, starting, with_verdict
from harness.space import Space, load
from harness.tracking import provenance
from harness.tracking.spool.event_log import SweepEnded, SweepPaused, SweepStarted, now_ms
from harness.tracking.tracker import Tracker, TrackingStatus
from harness.tracking.tracking_uri import check_server, resolve_uri
from harness.tuning.cluster.address import check_address
from harness.tuning.storage.sweep_folder import SweepFolder, find_sweep, tracked_on
from harness.tuning.storage.workspace import Workspace, local_workspace

if TYPE_CHECKING:
    from harness.confirm.plan import Plan, Result
    from harness.confirm.training import Training
    from harness.console import SweepProgress
    from harness.tuning.execution.crew import Crew
    from harness.tuning.study.trial_record import TrialRecord


SEEDS = 10
MOST_SEEDS = 50
"""Of a sequence that nothing else bounds."""
FIRST_LOOK = 3
"""Seeds before a sequence is looked at."""


class NothingToConfirm(HarnessError):
    """The search has nothing to offer yet; says what to do."""


class Refused(HarnessError):
    """Bad input that shows beside what is there already. Nothing was changed."""


@dataclass(frozen=True)
class Confirmation:
    """`findings` is the content of confirm.json; `lost`: runs that came to no result, and why."""

    findings: dict[str, Any]
    file: Path
    lost: dict[str, str]
    sent: TrackingStatus


@dataclass(frozen=True)
class Extent:
    """How far a confirmation goes.

    Args:
        top: configurations of each arm; of a baseline always one.
        seeds: of each configuration; of a sequence, the most. Those that are there already are all used.
        sequential: add seeds until the interval is clear of zero.
        budget: runs in all, those of earlier sittings included.
    """

    top: int = 3
    seeds: int | None = None
    sequential: bool = False
    budget: int | None = None

    def most(self, configurations: int) -> int:
        """The most seeds of each of so many configurations."""
        seeds = self.seeds or (SEEDS if not self.sequential else MOST_SEEDS)
        if self.budget is None:
            return seeds
        affordable = self.budget // configurations
        if self.sequential and self.seeds is None:
            seeds = affordable
        if affordable < 1:
            raise Refused(
                f"--budget: expected at least {configurations} runs, one seed of each of the {configurations} "
                f"configurations, got {self.budget}; allow more, or confirm fewer with --top"
            )
        return min(seeds, affordable)


def confirm(
    name: str,
    extent: Extent | None = None,
    *,
    runs_dir: Workspace | Path | str = "runs",
    address: str | None = None,
    tracking_uri: str | None = None,
    concurrency: int | None = None,
    margin: float = 0.5,
    verbose: bool = False,
    quiet: bool = False,
) -> Confirmation:
    """Train the best of a sweep anew on fresh seeds, and say what holds on the test part.

    Args:
        name: the sweep, a folder in `runs_dir`.
        address: of a Ray cluster; one is started here, and ended, where left out.
        tracking_uri: of MLflow; the server that the search named where left out.
        concurrency: runs at once; as many as the search had, or as fit, where left out.
        margin: the difference worth knowing of, in points.
        quiet: show no progress.

    Raises:
        FolderError: there is no such sweep, or another process is at it.
        SpaceError: its space file cannot be read.
        Refused: the budget does not reach for one seed.
        NothingToConfirm: no arm has a complete trial.
        TrackingError, ClusterError: there is no such server or cluster. Nothing was run then.
    """
    began = time.monotonic()
    extent = extent or Extent()
    workspace = local_workspace(runs_dir)
    runs = workspace.local
    path = find_sweep(runs, name)
    uri = resolve_uri(tracking_uri or tracked_on(path), runs)
    check_server(uri)
    if address is not None:
        check_address(address)
    space = load(path / "space.yaml")
    from harness.confirm.findings import circumstances
    from harness.confirm.training import Training
    from harness.tuning.execution.event_logger import EventLogger
    from harness.tuning.study.sweep_study import SweepStudy  # Optuna takes a second to import

    with SweepFolder(path) as folder:
        ledger = SweepStudy(folder.journal, space)
        plan = _plan(space, ledger.trial_records(), folder, workspace, extent.top)
        most = max(extent.most(len(plan.configurations)), plan.covered())
        state_of_search = SweepPaused() if ledger.missing else SweepEnded()
        tracker = Tracker(folder.spool, uri)
        for warning in [*ledger.warnings, *tracker.warnings]:
            print(warning, file=sys.stderr)
        tracker.append(SweepStarted(name=path.name, tags={"study": space.study}))
        facts = provenance.collect()
        relay = EventLogger(folder, workspace, tracker.append, provenance.of_trials(provenance.tags(facts)))
        for job, result in plan.ended(most):
            if not relay.has_end(job.number):  # a kill fell between the two writes
                relay(plan.results.end(job, result))
        progress = _progress(space, plan, most, began, verbose, quiet)
        try:
            with ExitStack() as stack:
                stack.enter_context(progress)

                def hire() -> "Crew":
                    from harness.tuning.cluster import cluster
                    from harness.tuning.execution import crew

                    there = stack.enter_context(
                        cluster.joined(address, workspace.worker_location(path), verbose=verbose)
                    )
                    return stack.enter_context(crew.hire(there, workspace, space.search, concurrency))

                training = Training(plan, [relay, progress, starting(tracker)], hire)
                found = _looked_at(space, training, extent, most, margin / 100)
                progress.trials = progress.ended  # a sequence may end before the most it was allowed
        except BaseException:
            with suppress(OSError):  # of a full disk, which may be why this ends
                tracker.append(dataclasses.replace(state_of_search, time=now_ms()))
                tracker.finish()
            raise
        lost = training.lost
        found = {"name": path.name, "study": space.study, **found}
        found["provenance"] = facts
        found["judged"] = judged = _judged(folder.findings, found["n"], extent.sequential)
        found["notes"] += circumstances(ledger.missing_by_arm(), lost, judged)
        write_json(folder.findings, found)
        tracker.append(with_verdict(found, folder))
        tracker.append(dataclasses.replace(state_of_search, metrics=metrics(found), time=now_ms()))
        sent = tracker.finish()
    from harness.report import report  # the figures' libraries take seconds to import

    report(path)
    return Confirmation(found, folder.findings, lost, sent)


def _plan(
    space: Space, entries: Sequence["TrialRecord"], folder: SweepFolder, workspace: Workspace, top: int
) -> "Plan":
    from harness.confirm.plan import Plan, Results, choose, fresh_seeds

    chosen = choose(space, entries, top)
    if not any(one.role == "arm" for one in chosen):
        raise NothingToConfirm(f"{folder.path}: no arm has a complete trial yet; go on with the search, then confirm")
    return Plan(chosen, fresh_seeds(space, entries), Results(folder.confirmation, workspace))


def _progress(space: Space, plan: "Plan", most: int, began: float, verbose: bool, quiet: bool) -> "SweepProgress":
    from harness.console import SweepProgress

    ended = plan.ended(most)
    return SweepProgress(
        most * len(plan.configurations),
        metric=space.objective.metric,
        direction=space.objective.direction,
        ended=len(ended),
        failed=sum(result.state == "failed" for _, result in ended),
        began=began,
        noun="runs",
        ranked=False,
        verbose=verbose,
        quiet=quiet,
    )


def _looked_at(space: Space, training: "Training", extent: Extent, most: int, margin: float) -> dict[str, Any]:
    """The findings: at `most` seeds, or of a sequence where it ends."""
    from harness.confirm.evidence import ComparisonSpec, Confirmed
    from harness.confirm.findings import findings
    from harness.confirm.verdict import DECIDED
    from harness.statistics import AnytimeValid, FixedSample  # SciPy takes a second to import

    plan = training.plan
    seeds = min(most, max(FIRST_LOOK, plan.covered())) if extent.sequential else most
    while True:
        training.train(seeds)
        by_name: dict[str, dict[int, Result]] = {one.name: {} for one in plan.configurations}
        for job, result in plan.ended(seeds):
            by_name[job.configuration.name][job.seed] = result
        confirmed = [Confirmed(one, by_name[one.name]) for one in plan.configurations]
        arms = {one.name for one in plan.configurations if one.role == "arm"}
        looks = len(arms | plan.results.tested_configurations())
        question = ComparisonSpec(AnytimeValid() if extent.sequential else FixedSample(), looks, margin)
        found = {"n": seeds, "sequential": extent.sequential, **findings(space, confirmed, question)}
        if training.lost or seeds >= most or found["outcome"] in DECIDED:
            return found
        seeds = min(most, seeds + training.stride)


def _judged(file: Path, n: int, sequential: bool) -> list[dict[str, Any]]:
    """The numbers of seeds at which this sweep was ever judged, now included, and under which rule."""
    now = {"n": n, "sequential": sequential}
    earlier: list[dict[str, Any]] = (read_json(file) or {}).get("judged", [])
    return earlier if now in earlier else [*earlier, now]
