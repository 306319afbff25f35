"""`python -m harness.search --space label_lr.yaml`: search, track, and say what won.

The command line is the thin face of `search`, which a notebook can call with a `Space` from `harness.space.load`.
Ray and Optuna take seconds to import: `search` does so only after its input was found good.
"""

import argparse
import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cli
from harness.space import Space, SpaceError, difference, dump, load
from harness.tracking import provenance
from harness.tracking.service import Tracker
from harness.tracking.spool import Record, SpoolError, SweepEnded, SweepPaused, SweepStarted, TrialEnded
from harness.tracking.uri import TrackingError, check, redact, resolve
from harness.tuning.address import ClusterError, check_address
from harness.tuning.folder import FolderError, SweepFolder, write_json, write_whole

if TYPE_CHECKING:
    from harness.tuning.ledger import Ledger

EXAMPLES = """\
examples:
  python -m harness.search --space label_lr.yaml
  python -m harness.search --space label_lr.yaml --trials 60              go on with it, up to 60 trials
  python -m harness.search --space label_lr.yaml --name wide --set width=256
  python -m harness.search --space label_lr.yaml --dry-run

exit codes: 0 done · 1 no trial completed · 2 bad input · 130 interrupted, state kept"""


class Refused(Exception):
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
    runs_dir: Path | str = "runs",
    address: str | None = None,
    tracking_uri: str | None = None,
    verbose: bool = False,
    quiet: bool = False,
) -> Outcome:
    """Run what is missing of a sweep's budget, and sum up all of it.

    Args:
        space: what is searched, with its budget.
        name: the sweep's folder in `runs_dir`; the study's name where left out.
        address: of a Ray cluster; one is started here, and ended, where left out.
        tracking_uri: of MLflow; a SQLite file inside `runs_dir` where left out.
        quiet: show no progress.

    Raises:
        Refused: this name is no name, or another sweep's.
        FolderError: the folder cannot be written, or another driver holds it.
        TrackingError, ClusterError: there is no such server or cluster. Nothing was created then.
    """
    began = time.monotonic()
    budget = space.search.time_budget_seconds
    deadline = None if budget is None else began + budget
    runs = Path(runs_dir)
    uri = resolve(tracking_uri, runs)
    path = runs / _checked(name or space.study)
    check(uri)
    if address is not None:
        check_address(address)
    _check_same_question(space, path)
    from harness.tuning.ledger import Ledger  # Optuna takes a second to import
    from harness.tuning.relay import Relay

    with SweepFolder(path) as folder:
        write_whole(folder.space, dump(space))
        write_json(folder.provenance, provenance.collect())
        tracker = Tracker(folder.spool, uri)
        tracker.append(_sweep_started(folder, space))
        relay = Relay(folder, tracker.append)
        ledger = Ledger(folder.journal, space, [relay])
        relay.catch_up(ledger.entries())
        try:
            cut_short = ledger.missing > 0 and _run(
                space, folder, ledger, tracker, began, deadline, address=address, verbose=verbose, quiet=quiet
            )
            summary = _sum_up(space, folder, ledger, time.monotonic() - began)
        except BaseException:
            tracker.append(SweepPaused())
            tracker.finish()
            raise
        interrupted = cut_short and (deadline is None or time.monotonic() < deadline)
        tracker.append(_sweep_ended(summary, cut_short))
        sent = tracker.finish()
        summary["mlflow"] = {
            "tracking_uri": sent.tracking_uri,
            "experiment": sent.experiment,
            "run_id": sent.run_id,
            "pending": sent.pending,
        }
        write_json(folder.summary, summary)
    return Outcome(summary, path, cut_short, interrupted)


def _run(
    space: Space,
    folder: SweepFolder,
    ledger: "Ledger",
    tracker: Tracker,
    began: float,
    deadline: float | None,
    *,
    address: str | None,
    verbose: bool,
    quiet: bool,
) -> bool:
    """Run the missing trials under the eyes of the user; returns whether the sweep was cut short."""
    from harness.display import SweepProgress
    from harness.tuning.cluster import joined
    from harness.tuning.ledger import best
    from harness.tuning.sweep import run_sweep

    search = space.search
    entries = ledger.entries()
    top = best(entries, space)
    progress = SweepProgress(
        ledger.missing + sum(1 for entry in entries if entry.state != "running"),
        metric=space.objective.metric,
        direction=space.objective.direction,
        ended=sum(1 for entry in entries if entry.state != "running"),
        failed=sum(1 for entry in entries if entry.state == "failed"),
        best=None if top is None or top.value is None else (top.value, top.name),
        began=began,
        verbose=verbose,
        quiet=quiet,
    )
    ledger.listeners += [progress, _starting(tracker)]
    with progress, joined(address, verbose=verbose) as cluster:
        slots = cluster.slots(search.resources)
        return run_sweep(
            space,
            folder,
            ledger,
            concurrency=min(search.concurrency or slots, slots),
            deadline=deadline,
            verbose=verbose,
        )


def _starting(tracker: Tracker) -> Callable[[Record], None]:
    """Start the writer when the first trial has ended: its start would slow down the first one's."""

    def listen(record: Record) -> None:
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


def _check_same_question(space: Space, path: Path) -> None:
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


def _sweep_started(folder: SweepFolder, space: Space) -> SweepStarted:
    return SweepStarted(
        name=folder.path.name,
        params={"study": space.study, "seed": space.search.seed},
        tags={"study": space.study, "trials": str(space.search.trials)},
        artifacts=(str(folder.space), str(folder.provenance)),
    )


def _sweep_ended(summary: dict[str, Any], cut_short: bool) -> Record:
    best = summary["best"]
    metrics = {f"trials_{state}": float(count) for state, count in summary["states"].items()}
    if best is not None:
        metrics[f"best_{summary['objective']['metric']}"] = best[summary["objective"]["metric"]]
    if cut_short:
        return SweepPaused(metrics=metrics)
    return SweepEnded(state="complete" if best else "failed", metrics=metrics)


def _sum_up(space: Space, folder: SweepFolder, ledger: "Ledger", seconds: float) -> dict[str, Any]:
    from harness.tuning.summary import summarise

    try:
        earlier = json.loads(folder.summary.read_text())["wall_seconds"]
    except (OSError, ValueError, KeyError):
        earlier = 0.0
    summary = {"name": folder.path.name, "study": space.study, **summarise(space, ledger.entries())}
    return {**summary, "wall_seconds": round(earlier + seconds, 3)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.search", "Search the settings of a space, track every run, say what won.", EXAMPLES)
    cli.add_space_arguments(parser)
    parser.add_argument("--name", help="the sweep's folder in the runs folder (default: the study's name)")
    parser.add_argument("--trials", type=cli.positive_int, metavar="N", help="trials of all arms together")
    parser.add_argument(
        "--time-budget",
        type=cli.positive_seconds,
        metavar="SECONDS",
        help="stop after this; the same command goes on",
    )
    parser.add_argument("--concurrency", type=cli.positive_int, metavar="N", help="trials at once (default: what fits)")
    parser.add_argument("--seed", type=cli.seed, metavar="N", help="of the suggestions and of the runs")
    parser.add_argument("--address", help="of a Ray cluster: auto, ray://HOST:PORT (default: start one here)")
    parser.add_argument("--tracking-uri", metavar="URI", help="of MLflow (default: SQLite inside the runs folder)")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    parser.add_argument("--dry-run", action="store_true", help="say what would be run, and stop")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each trial's end, and Ray's own words")
    options = parser.parse_args(arguments)
    flags = {
        "search.trials": options.trials,
        "search.time_budget_seconds": options.time_budget,
        "search.concurrency": options.concurrency,
        "search.seed": options.seed,
        "seed": options.seed,
    }
    overrides = [*options.overrides, *(f"{key}={value}" for key, value in flags.items() if value is not None)]
    try:
        space = load(options.space, overrides)
        name = options.name or space.study
        print(_headline(space, options.runs_dir / name), flush=True)
        if options.dry_run:
            print(_plan(space))
            return cli.DONE
        outcome = search(
            space,
            name=name,
            runs_dir=options.runs_dir,
            address=options.address,
            tracking_uri=options.tracking_uri,
            verbose=options.verbose,
        )
    except (SpaceError, Refused, TrackingError, ClusterError, FolderError, SpoolError) as error:
        return cli.refuse(error)
    except KeyboardInterrupt:
        print("\ninterrupted: the state is kept, the same command goes on", file=sys.stderr)
        return cli.INTERRUPTED
    _show(outcome, space, options)
    if outcome.summary["best"] is None:
        return cli.INTERRUPTED if outcome.interrupted else cli.NOTHING_COMPLETED
    return cli.INTERRUPTED if outcome.interrupted else cli.DONE


def _headline(space: Space, path: Path) -> str:
    arms = ", ".join(arm.name for arm in space.arms)
    return f"{space.study}: {space.search.trials} trials of {arms} → {path}"


def _plan(space: Space) -> str:
    """What a sweep would run: each arm's share of the trials, and what is searched in it."""
    lines = []
    shares = space.shares()
    for arm in space.arms:
        lines.append(f"\n{arm.name} ({arm.role}, {arm.method}): {shares[arm.name]} trials")
        for name, parameter in arm.parameters.items():
            facts = parameter.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            lines.append(f"  {name:<18}" + ", ".join(f"{key} {value}" for key, value in facts.items()))
        lines.append(f"  {'fixed':<18}" + ", ".join(f"{key} {value}" for key, value in arm.fixed.items()))
    return "\n".join(lines)


def _show(outcome: Outcome, space: Space, options: argparse.Namespace) -> None:
    """The table, the verdict, and the commands a user would type next."""
    from rich.console import Console

    from harness.display import results_table, verdict

    summary = outcome.summary
    console = Console(highlight=False)
    console.print(results_table(summary), "", verdict(summary), sep="\n")
    for number, reason in list(summary["failures"].items())[:3]:
        console.print(f"trial {number} failed: {reason}", markup=False)
    mlflow = summary["mlflow"]
    if mlflow["pending"]:
        command = f"{cli.python()} -m harness.sync {summary['name']}"
        console.print(f"MLflow lacks {mlflow['pending']} records yet; send them with: {command}", markup=False)
    console.print("")
    for purpose, command in _next_commands(outcome, space, options):
        console.print(f"{purpose:<12}{command}", soft_wrap=True, markup=False)


def _next_commands(outcome: Outcome, space: Space, options: argparse.Namespace) -> list[tuple[str, str]]:
    python = cli.python()
    again = [f"{python} -m harness.search --space {shlex.quote(options.space)}"]
    again += [f"--set {shlex.quote(change)}" for change in options.overrides]
    again += [] if options.seed is None else [f"--seed {options.seed}"]
    again += [] if options.runs_dir == Path("runs") else [f"--runs-dir {shlex.quote(str(options.runs_dir))}"]
    again += [] if options.name is None else [f"--name {options.name}"]
    again += [] if options.tracking_uri is None else [f"--tracking-uri {shlex.quote(redact(options.tracking_uri))}"]
    more = space.search.trials if outcome.cut_short else 2 * space.search.trials
    commands = [("go on:", " ".join([*again, f"--trials {more}"]))]
    uri = outcome.summary["mlflow"]["tracking_uri"]
    if uri.startswith("sqlite:"):
        commands.append(("look at it:", f"{python} -m mlflow ui --backend-store-uri {uri}"))
    page = _page(outcome.summary["mlflow"])
    if page is not None:
        commands.append(("  then open", page))
    return commands


def _page(mlflow: Mapping[str, Any]) -> str | None:
    """MLflow's page on the sweep's own run."""
    if mlflow["run_id"] is None or "experiment_id" not in mlflow:
        return None
    uri = mlflow["tracking_uri"]
    server = uri if uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{mlflow['experiment_id']}/runs/{mlflow['run_id']}"


if __name__ == "__main__":
    sys.exit(main())
