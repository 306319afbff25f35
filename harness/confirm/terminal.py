"""What the command line of a confirmation prints: the configurations, the verdict, the commands to type next."""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import cli
from harness.confirm.run import MAX_SEQUENTIAL_SEEDS, Confirmation
from harness.console import on_test
from harness.console import shown as objective
from harness.tracking.tracking_uri import redact_uri


def show(outcome: Confirmation, options: argparse.Namespace) -> None:
    """The table, the verdict and what to know beside it, and what a user would type next."""
    found = outcome.findings
    console = Console(highlight=False)
    console.print(results_table(found), "", sep="\n")
    console.print(found["verdict"], markup=False)
    for note in found["notes"]:
        console.print(f"note: {note}", markup=False)
    if outcome.sent.pending:
        command = f"{cli.python()} -m harness.sync {found['name']}"
        console.print(f"MLflow lacks {outcome.sent.pending} events yet; send them with: {command}", markup=False)
    console.print("")
    for purpose, command in _next_commands(outcome, options):
        console.print(f"{purpose:<13}{command}", soft_wrap=True, markup=False)


def results_table(found: Mapping[str, Any]) -> Table:
    """Every configuration, arms before baselines, the best on the validation parts first."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("configuration", no_wrap=True)
    table.add_column("seeds", justify="right")
    table.add_column("validation\naccuracy", justify="right")
    table.add_column("test\naccuracy", justify="right")
    table.add_column("95 % interval\nover seeds", justify="right")
    ranked = list(_ranked(found))
    others = list(dict.fromkeys(metric for _, one in ranked for metric in list(one.get("objectives", {}))[1:]))
    for metric in others:
        table.add_column(on_test(metric), justify="right")
    spoiled = not others and any(one["label_accuracy_mean"] not in (None, 1.0) for _, one in ranked)
    if spoiled:
        table.add_column("labels\nright", justify="right")
    for name, one in ranked:
        labels = [_percent(one["label_accuracy_mean"])] if spoiled else []
        shares = (_share(one["val_accuracy_mean"]), _share(one["test_accuracy_mean"]))
        values = [objective(metric, one["objectives"][metric]) for metric in others]
        table.add_row(name, str(one["n"]), *shares, _between(one), *values, *labels)
    return table


def _ranked(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for role in ("arm", "baseline"):
        own = [item for arm in found["arms"].values() if arm["role"] == role for item in arm["configurations"].items()]
        yield from sorted(own, key=lambda item: -(item[1]["val_accuracy_mean"] or 0.0))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _between(one: Mapping[str, Any]) -> str:
    low, high = one["ci95"] or (None, None)
    return "–" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def _next_commands(outcome: Confirmation, options: argparse.Namespace) -> list[tuple[str, str]]:
    python, found = cli.python(), outcome.findings
    again = [f"{python} -m harness.confirm {shlex.quote(options.name)}"]
    for flag, value in (
        ("--top", None if options.top == 3 else options.top),
        ("--runs-dir", None if options.runs_dir == Path("runs") else options.runs_dir),
        ("--address", options.address),
        ("--tracking-uri", options.tracking_uri and redact_uri(options.tracking_uri)),
    ):
        again += [] if value is None else [f"{flag} {shlex.quote(str(value))}"]
    commands = [("all numbers:", str(outcome.file))]
    if outcome.lost:
        extent = ["--sequential"] if found["sequential"] else []
        extent += [f"--seeds {options.seeds}"] if options.seeds else []
        commands.insert(0, ("go on:", " ".join([*again, *extent])))
    elif found["outcome"] == "undecided":  # who looks again has to allow for it
        extent = ["--sequential", f"--seeds {max(MAX_SEQUENTIAL_SEEDS, 2 * found['n'])}"]
        commands.insert(0, ("go on:", " ".join([*again, *extent])))
    if outcome.sent.tracking_uri.startswith("sqlite:"):
        commands.append(("look at it:", f"{python} -m mlflow ui --backend-store-uri {outcome.sent.tracking_uri}"))
    return commands
