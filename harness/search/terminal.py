"""What the command line of a search prints before and after: the plan, the results, the commands to type next."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import cli
from harness.search.sitting import Outcome
from harness.space import Space
from harness.tracking.uri import redact


def headline(space: Space, path: Path) -> str:
    arms = ", ".join(arm.name for arm in space.arms)
    return f"{space.study}: {space.search.trials} trials of {arms} → {path}"


def show(outcome: Outcome, space: Space, options: argparse.Namespace) -> None:
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
    for flag, value in (
        ("--seed", options.seed),
        ("--runs-dir", None if options.runs_dir == Path("runs") else options.runs_dir),
        ("--name", options.name),
        ("--address", options.address),
        ("--tracking-uri", options.tracking_uri and redact(options.tracking_uri)),
    ):
        again += [] if value is None else [f"{flag} {shlex.quote(str(value))}"]
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
    if mlflow["run_id"] is None:
        return None
    uri = mlflow["tracking_uri"]
    server = uri if uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{mlflow['experiment_id']}/runs/{mlflow['run_id']}"
