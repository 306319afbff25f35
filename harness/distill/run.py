"""The function `distill`: from a searched sweep to `distill.json`, continuing whatever earlier sessions left.

Ray and Optuna take seconds to import: that is done only once the input has been checked.
"""

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from harness.common.errors import InputError, NothingCompleted
from harness.confirm import confirm
from harness.confirm.run import run_plan
from harness.distill.students import Students, students_of, students_seed
from harness.results import Distillation
from harness.results.sweep_data import check_data
from harness.search import search
from harness.search.run import check_name, check_same_space
from harness.session import RunOptions, check_servers, open_session
from harness.space import Space, load
from harness.tracking.provenance import collect
from harness.training.config.teacher_files import LOGITS_FILE
from harness.tuning.storage.sweep_folder import find_sweep
from harness.tuning.storage.workspace import SweepAccess, Workspace, open_workspace
from harness.tuning.trial import EndAction

if TYPE_CHECKING:
    from harness.confirm.plan import SeedPlan
    from harness.tuning.study.trial_record import TrialRecord

DEFAULT_SEEDS = 10


def distill(
    name: str,
    students: Students | None = None,
    *,
    students_name: str | None = None,
    seeds: int = DEFAULT_SEEDS,
    runs_dir: Workspace | Path | str = "runs",
    address: str | None = None,
    tracking_uri: str | None = None,
    concurrency: int | None = None,
    margin: float = 0.5,
    verbose: bool = False,
    quiet: bool = False,
) -> Distillation:
    """Train the same student with the best configuration of each arm as its teacher, and compare the students.

    Args:
        name: the sweep of the teachers, a folder in `runs_dir`.
        students_name: the folder of the students' sweep; by default NAME-distill.
        seeds: the number of fresh seeds on which students and teachers are measured.
        margin: the smallest difference of interest, in points of accuracy.
        The others are those of `harness.confirm.confirm`.

    Raises:
        FolderError: there is no such sweep, or another process holds it.
        SpaceError: its space file cannot be read, or the students' space cannot be changed so.
        InputError: the teachers cannot have one student, or the students' folder holds others.
        NothingCompleted: no arm has a complete trial, or a teacher or every student failed.
        TrackingError, ClusterError: there is no such server or cluster. Nothing was run.
        KeyboardInterrupt: the results so far are kept; the same call continues.
    """
    options = RunOptions(address, tracking_uri, concurrency, verbose, quiet)
    students_sweep = students_name or f"{name}-distill"
    uses = SweepAccess(name), SweepAccess(students_sweep, must_exist=False, argument="--name")
    with open_workspace(runs_dir, *uses) as workspace, ExitStack() as cluster:
        path = find_sweep(workspace.local, name)
        check_name(students_sweep)
        if students_sweep == name:
            raise InputError(f"--name: expected another name than the teachers' sweep has, got {name!r}; choose one")
        uri = check_servers(options, workspace.local, path)
        space = load(path / "space.yaml")
        from harness.confirm.configurations import choose_configurations, fresh_seeds
        from harness.confirm.findings import caveats
        from harness.confirm.plan import SeedPlan
        from harness.distill.findings import build_distillation

        teachers = choose_configurations(space, _records(path, space), 1)
        if not any(teacher.role == "arm" for teacher in teachers):
            raise NothingCompleted(f"{path}: no arm has a complete trial yet; go on with the search, then distill")
        students_space = students_of(
            space, teachers, workspace.worker_location(path / "distill"), students or Students()
        )
        check_same_space(students_space, workspace.local / students_sweep)
        data = check_data((teacher.config for teacher in teachers), path, options.show)
        console = Console(highlight=False, quiet=quiet)
        provenance = collect()

        def train_teachers(n: int, *, evaluate_test: bool) -> tuple["SeedPlan", dict[str, str]]:
            """Train every teacher on the first n seeds; returns their plan, and the runs without a result."""
            fresh = fresh_seeds(students_space, _records(workspace.local / students_sweep, students_space))
            own_seeds = itertools.chain([students_seed(space)], fresh)
            at_end: tuple[EndAction, ...] = ("export_logits", "evaluate_test") if evaluate_test else ("export_logits",)
            plan = SeedPlan(teachers, own_seeds, path / "distill", kind="teacher", at_end=at_end, required=LOGITS_FILE)
            if not plan.missing(n):
                return plan, {}
            with open_session(workspace, name, space, uri, options, data=data) as session:
                return plan, run_plan(session, plan, n, n, provenance, "teachers", cluster_stack=cluster)

        console.print(f"teachers: {', '.join(teacher.name for teacher in teachers)}", markup=False, soft_wrap=True)
        _check_teachers(*train_teachers(1, evaluate_test=False))
        console.print(
            f"students: {students_space.search.trials} trials → {workspace.local / students_sweep}",
            markup=False,
            soft_wrap=True,
        )
        shared: dict[str, Any] = {
            "runs_dir": workspace,
            "address": address,
            "tracking_uri": uri,
            "verbose": verbose,
            "quiet": quiet,
        }
        if search(students_space, name=students_sweep, **shared).interrupted:
            raise KeyboardInterrupt
        console.print(f"teachers again, on {seeds} fresh seeds", markup=False)
        plan, failures = train_teachers(1 + seeds, evaluate_test=True)
        console.print("students again, on the same seeds", markup=False)
        confirmed = confirm(students_sweep, top=1, seeds=seeds, concurrency=concurrency, margin=margin, **shared)
        results = plan.results_by_configuration(1 + confirmed.n, first=1)
        distillation = build_distillation(name, space, students_space, results, confirmed, failures)
        with open_session(workspace, name, space, uri, options) as session:
            notes = [*distillation.notes, *caveats(session.study.missing_by_arm(), {}, [])]
            distillation = distillation.model_copy(update={"notes": notes})
            distillation.save(workspace.local / students_sweep)
            session.start_tracking()
            session.finish(tags={"distillation": distillation.verdict}, artifacts=[distillation.file])
        from harness.report import report  # the figures' libraries take seconds to import

        for folder in (path, distillation.path):
            report(folder)
    return distillation.model_copy(update={"lost": {**failures, **confirmed.lost}})


def _records(path: Path, space: Space) -> "list[TrialRecord]":
    """The trials of a sweep; none where it was not started."""
    from harness.tuning.study.sweep_study import read_trial_records

    journal = path / "study.journal"
    return read_trial_records(journal, space) if journal.exists() else []


def _check_teachers(plan: "SeedPlan", failures: dict[str, str]) -> None:
    """Raise NothingCompleted unless every teacher completed on the seed that students are searched on."""
    for teacher, reason in failures.items():
        raise NothingCompleted(f"{teacher} ended without a result ({reason}); the same command tries again")
    for run, result in plan.results(1):
        if result.state == "failed":
            raise NothingCompleted(
                f"{run.name}: expected a teacher, got a run that {result.reason}; search its arm further, or narrower"
            )
