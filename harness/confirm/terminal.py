"""What the command line of a confirmation prints: the configurations, the verdict, the commands to type next."""

import argparse
import shlex
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.common.formatting import accuracy, interval, percent
from harness.confirm.run import MAX_SEQUENTIAL_SEEDS
from harness.console import plain_table, print_commands, python, quoted_flags
from harness.results import Confirmation
from harness.results.objectives import format_objective, test_heading
from harness.tracking.tracking_uri import redact_uri


def show(found: Confirmation, options: argparse.Namespace) -> None:
    """Print the table, the verdict with its notes, and what a user would type next."""
    console = Console(highlight=False)
    console.print(results_table(found), "", sep="\n")
    console.print(found.verdict, markup=False)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)
    if found.mlflow is not None and found.mlflow.pending:
        command = f"{python()} -m harness.sync {found.name}"
        console.print(f"MLflow lacks {found.mlflow.pending} records yet; send them with: {command}", markup=False)
    console.print("")
    print_commands(console, next_commands(found, options))


def results_table(found: Confirmation) -> Table:
    """Every configuration, arms before baselines, the best on the validation parts first."""
    table = plain_table()
    table.add_column("configuration", no_wrap=True)
    table.add_column("seeds", justify="right")
    table.add_column("validation\naccuracy", justify="right")
    table.add_column("test\naccuracy", justify="right")
    table.add_column("95 % interval\nover seeds", justify="right")
    ranked = found.ranked()
    others = list(dict.fromkeys(metric for _, _, one in ranked for metric in list(one.objectives)[1:]))
    for metric in others:
        table.add_column(test_heading(metric), justify="right")
    noisy = not others and any(one.label_accuracy_mean not in (None, 1.0) for _, _, one in ranked)
    if noisy:
        table.add_column("labels\nright", justify="right")
    for _, name, one in ranked:
        labels = [percent(one.label_accuracy_mean)] if noisy else []
        accuracies = accuracy(one.val_accuracy_mean), accuracy(one.test_accuracy_mean)
        values = [format_objective(metric, one.objectives[metric]) for metric in others]
        table.add_row(name, str(one.n), *accuracies, interval(one.ci95), *values, *labels)
    return table


def next_commands(found: Confirmation, options: argparse.Namespace) -> list[tuple[str, str]]:
    """(purpose, command) of each."""
    flags = quoted_flags(
        {
            "--top": None if options.top == 3 else options.top,
            "--runs-dir": None if options.runs_dir == Path("runs") else options.runs_dir,
            "--address": options.address,
            "--tracking-uri": options.tracking_uri and redact_uri(options.tracking_uri),
        }
    )
    again = f"{python()} -m harness.confirm {shlex.quote(options.name)}{flags}"
    commands = [("all numbers:", str(found.file))]
    if found.lost:
        extent = f"{' --sequential' if found.sequential else ''}{f' --seeds {options.seeds}' if options.seeds else ''}"
        commands.insert(0, ("go on:", f"{again}{extent}"))
    elif found.outcome == "undecided":  # who looks again has to allow for it
        commands.insert(0, ("go on:", f"{again} --sequential --seeds {max(MAX_SEQUENTIAL_SEEDS, 2 * found.n)}"))
    if found.mlflow is not None and found.mlflow.tracking_uri.startswith("sqlite:"):
        commands.append(("look at it:", f"{python()} -m mlflow ui --backend-store-uri {found.mlflow.tracking_uri}"))
    return commands
