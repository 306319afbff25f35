"""One sitting at a distillation: from a searched sweep to `distill.json`, whatever earlier sittings left.

Ray and Optuna take seconds to import: that is done only after the input was found good.
"""

import itertools
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from harness.common.errors import HarnessError
from harness.common.json_files import write_json
from harness.confirm import Extent, confirm
from harness.distill.students import Students, Unlike, students_of, students_seed
from harness.search import search
from harness.search.run import check_same_question
from harness.space import Space, load
from harness.tracking.spool.event_log import SweepEnded, SweepPaused, SweepStarted
from harness.tracking.tracking_uri import check_server, resolve_uri
from harness.training.config.checks import check_data
from harness.tuning.cluster.address import check_address
from harness.tuning.storage.sweep_folder import SweepFolder, find_sweep, tracked_on
from harness.tuning.storage.workspace import Workspace, local_workspace

if TYPE_CHECKING:
    from harness.confirm.plan import Configuration, Plan
    from harness.tuning.study.trial_record import TrialRecord

SEEDS = 10
FILE = "distill.json"


class NothingToDistill(HarnessError):
    """There is nothing to teach with, or nothing was learned; says what to do."""


class Refused(HarnessError):
    """Bad input that shows beside what is there already. Nothing was changed."""


@dataclass(frozen=True)
class Distillation:
    """`findings` is the content of distill.json; `lost`: runs that came to no result, and why."""

    findings: dict[str, Any]
    file: Path
    lost: dict[str, str]


def distill(
    name: str,
    students: Students | None = None,
    *,
    students_name: str | None = None,
    seeds: int = SEEDS,
    runs_dir: Workspace | Path | str = "runs",
    address: str | None = None,
    tracking_uri: str | None = None,
    concurrency: int | None = None,
    margin: float = 0.5,
    verbose: bool = False,
    quiet: bool = False,
) -> Distillation:
    """Have the best of each arm of a sweep teach the same student, and say whose students are better.

    Args:
        name: the sweep of the teachers, a folder in `runs_dir`.
        students_name: the folder of the students' sweep; NAME-distill where left out.
        seeds: fresh ones, that students and teachers are measured on.
        margin: the difference worth knowing of, in points.
        The others are those of `harness.confirm.confirm`.

    Raises:
        FolderError: there is no such sweep, or another process is at it.
        SpaceError: its space file cannot be read, or the students' cannot be changed so.
        Refused, harness.search.Refused: the teachers cannot have one student, or the students' folder holds others.
        NothingToDistill: no arm has a complete trial, or a teacher or every student failed.
        TrackingError, ClusterError: there is no such server or cluster. Nothing was run then.
        KeyboardInterrupt: the same call goes on.
    """
    students = students or Students()
    workspace = local_workspace(runs_dir)
    runs = workspace.local
    path = find_sweep(runs, name)
    theirs = runs / _checked(students_name or f"{name}-distill", name)
    uri = resolve_uri(tracking_uri or tracked_on(path), runs)
    check_server(uri)
    if address is not None:
        check_address(address)
    space = load(path / "space.yaml")
    from harness.confirm.findings import circumstances
    from harness.confirm.plan import choose, fresh_seeds
    from harness.distill.findings import findings
    from harness.distill.teachers import School, plan_of

    teachers = choose(space, _entries(path, space), 1)
    if not any(one.role == "arm" for one in teachers):
        raise NothingToDistill(f"{path}: no arm has a complete trial yet; go on with the search, then distill")
    try:
        asked = students_of(space, teachers, workspace.worker_location(SweepFolder(path).teachers), students)
    except Unlike as error:
        raise Refused(str(error)) from error
    _check(teachers)
    check_same_question(asked, theirs)
    console = Console(highlight=False, quiet=quiet)

    def plan(folder: SweepFolder) -> "Plan":
        fresh = fresh_seeds(asked, _entries(theirs, asked))
        return plan_of(teachers, itertools.chain([students_seed(space)], fresh), folder, workspace)

    with ExitStack() as stack:
        school = School(workspace, path, space, uri, stack, address, concurrency, verbose, quiet)
        console.print(f"teachers: {', '.join(one.name for one in teachers)}", markup=False, soft_wrap=True)
        lost = school.train(plan, 1, tests=False)
        _check_taught(plan(SweepFolder(path)), lost)
        console.print(f"students: {asked.search.trials} trials → {theirs}", markup=False, soft_wrap=True)
        options: dict[str, Any] = {"address": address, "tracking_uri": uri, "verbose": verbose, "quiet": quiet}
        searched = search(asked, name=theirs.name, runs_dir=workspace, **options)
        if searched.interrupted:
            raise KeyboardInterrupt
        console.print(f"teachers again, on {seeds} fresh seeds", markup=False)
        lost = school.train(plan, 1 + seeds, tests=True)
        console.print("students again, on the same seeds", markup=False)
        extent = Extent(top=1, seeds=seeds)
        confirmed = confirm(theirs.name, extent, runs_dir=workspace, concurrency=concurrency, margin=margin, **options)
        taught = plan(SweepFolder(path))
        results = [(job, result) for job, result in taught.ended(1 + confirmed.findings["n"]) if job.place > 0]
        found = findings(name, theirs.name, asked, teachers, results, confirmed.findings, lost)
        found["notes"] += circumstances(_missing(path, space), {}, [])
        write_json(theirs / FILE, found)
        _track(path, space, uri, found, theirs / FILE)
    from harness.report import report

    for each in (path, theirs):
        report(each)
    return Distillation(found, theirs / FILE, {**lost, **confirmed.lost})


def _entries(path: Path, space: Space) -> "list[TrialRecord]":
    """The trials of a sweep; none where it has not begun."""
    from harness.tuning.study.sweep_study import SweepStudy

    if not (path / "study.journal").exists():
        return []
    with SweepFolder(path) as folder:
        return SweepStudy(folder.journal, space).trial_records()


def _missing(path: Path, space: Space) -> dict[str, int]:
    """Trials that the sweep of the teachers has still to run, by arm."""
    from harness.tuning.study.sweep_study import SweepStudy

    with SweepFolder(path) as folder:
        return SweepStudy(folder.journal, space).missing_by_arm()


def _check(teachers: "list[Configuration]") -> None:
    problems = dict.fromkeys(problem for one in teachers for problem in check_data(one.config))
    if problems:
        raise Refused("\n".join(problems))


def _check_taught(plan: "Plan", lost: dict[str, str]) -> None:
    """That every teacher has something to say on the seed that students are searched on."""
    for teacher, reason in lost.items():
        raise NothingToDistill(f"{teacher} came to no result ({reason}); the same command tries again")
    for job, result in plan.ended(1):
        if result.state == "failed":
            raise NothingToDistill(
                f"{job.name}: expected a teacher, got a run that {result.reason}; search its arm further, or narrower"
            )


def _track(path: Path, space: Space, uri: str, found: dict[str, Any], file: Path) -> None:
    """The sweep's run once more, with what came of its teachers as a tag and all numbers as a file."""
    from harness.tracking.tracker import Tracker
    from harness.tuning.study.sweep_study import SweepStudy

    with SweepFolder(path) as folder:
        tracker = Tracker(folder.spool, uri)
        tags = {"study": space.study, "distillation": found["verdict"]}
        tracker.append(SweepStarted(name=path.name, tags=tags, artifacts=(str(file),)))
        tracker.append(SweepPaused() if SweepStudy(folder.journal, space).missing else SweepEnded())
        tracker.finish()


def _checked(students_name: str, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", students_name) or students_name == name:
        raise Refused(
            "--name: expected a name for the students' sweep, of letters, digits and ._- (a letter or digit first, 100 "
            f"at most) and not the teachers', got {students_name!r}; it becomes a folder's name"
        )
    return students_name
