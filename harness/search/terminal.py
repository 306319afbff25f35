"""What the command line of a search prints before and after: the plan, the results, the commands to type next."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import cli
from harness.search.run import Outcome
from harness.space import Space
from harness.tracking.tracking_uri import redact_uri


def headline(space: Space, path: Path) -> str:
    arms = ", ".join(arm.name for arm in space.arms)
    seeds = space.search.seeds_per_trial
    on = f", {seeds} seeds each," if seeds > 1 else ""
    return f"{space.study}: {space.search.trials} trials{on} of {arms} → {path}"


def show(outcome: Outcome, space: Space, options: argparse.Namespace) -> None:
    """The table, the verdict, and the commands a user would type next."""
    from rich.console import Console

    from harness.console import front_line, results_table, verdict

    summary = outcome.summary
    console = Console(highlight=False)
    if "front" in summary:
        console.print(front_line(summary), "", sep="\n", soft_wrap=True)
    console.print(results_table(summary), "", verdict(summary), sep="\n")
    for number, reason in list(summary["failures"].items())[:3]:
        console.print(f"trial {number} failed: {reason}", markup=False)
    mlflow = summary["mlflow"]
    if mlflow["pending"]:
        why = f" ({mlflow['unreachable']})" if mlflow["unreachable"] else ""
        console.print(f"MLflow has not taken {mlflow['pending']} events yet{why}", markup=False, soft_wrap=True)
    if mlflow["skipped"]:
        log = outcome.folder / "spool" / "writer.log"
        line = f"MLflow did not take {mlflow['skipped']} values or files, which are listed in {log}"
        console.print(line, markup=False, soft_wrap=True)
    console.print("")
    for purpose, command in _next_commands(outcome, space, options):
        console.print(f"{purpose:<12}{command}", soft_wrap=True, markup=False)


def _next_commands(outcome: Outcome, space: Space, options: argparse.Namespace) -> list[tuple[str, str]]:
    python, summary = cli.python(), outcome.summary
    where = _flags(
        {
            "--runs-dir": None if options.runs_dir == Path("runs") else options.runs_dir,
            "--tracking-uri": options.tracking_uri and redact_uri(options.tracking_uri),
        }
    )
    again = _flags(
        {
            "--seed": options.seed,
            "--name": options.name,
            "--warm-start": options.warm_start,
            "--address": options.address,
        }
    )
    changes = "".join(f" --set {shlex.quote(change)}" for change in options.overrides)
    more = space.search.trials if outcome.cut_short else 2 * space.search.trials
    search = f"{python} -m harness.search --space {shlex.quote(options.space)}"
    commands = [("go on:", f"{search}{changes}{again}{where} --trials {more}")]
    if summary["best"] is not None:
        commands.append(("confirm it:", f"{python} -m harness.confirm {summary['name']}{where}"))
    if summary["mlflow"]["pending"]:
        commands.append(("send it:", f"{python} -m harness.sync {summary['name']}{where}"))
    report = outcome.folder / "report.html"
    if report.exists():
        commands.append(("read it:", str(report)))
    uri = summary["mlflow"]["tracking_uri"]
    if uri.startswith("sqlite:"):
        commands.append(("look at it:", f"{python} -m mlflow ui --backend-store-uri {uri}"))
    page = _page(summary["mlflow"])
    if page is not None:
        commands.append(("  then open", page))
    return commands


def _flags(values: Mapping[str, object]) -> str:
    """Those of the flags that were given, each with a space before it."""
    return "".join(f" {flag} {shlex.quote(str(value))}" for flag, value in values.items() if value is not None)


def _page(mlflow: Mapping[str, Any]) -> str | None:
    """MLflow's page on the sweep's own run."""
    if mlflow["run_id"] is None:
        return None
    uri = mlflow["tracking_uri"]
    server = uri if uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{mlflow['experiment_id']}/runs/{mlflow['run_id']}"
