"""Terminal output of a confirmation: the table of configurations, the verdict, the commands to type next."""

import argparse
import shlex

from rich.table import Table

from harness.common.formatting import format_accuracy, format_interval, format_percent
from harness.confirm.run import DEFAULT_MARGIN, MAX_SEQUENTIAL_SEEDS
from harness.console import command_line, follow_up_flags, plain_table, print_result, quoted_flags
from harness.results import Confirmation
from harness.results.objectives import format_objective, test_heading


def show(confirmation: Confirmation, options: argparse.Namespace) -> None:
    """Print the table, the verdict with its notes, and what a user would type next."""
    notes = [f"note: {note}" for note in confirmation.notes]
    if confirmation.mlflow is not None and confirmation.mlflow.pending:
        send = command_line("harness.sync", confirmation.name) + follow_up_flags(options, runs=False)
        notes.append(f"MLflow lacks {confirmation.mlflow.pending} records yet; send them with: {send}")
    print_result(results_table(confirmation), [confirmation.verdict, *notes], next_commands(confirmation, options))


def results_table(confirmation: Confirmation) -> Table:
    """Every configuration, arms before baselines, the best on the validation parts first."""
    ranked = confirmation.ranked()
    others = list(
        dict.fromkeys(metric for _, _, configuration in ranked for metric in list(configuration.objectives)[1:])
    )
    noisy = not others and any(configuration.label_accuracy_mean not in (None, 1.0) for _, _, configuration in ranked)
    columns = ["seeds", "validation\naccuracy", "test\naccuracy", "95 % interval\nover seeds"]
    columns += [test_heading(metric) for metric in others] + ["labels\nright"] * noisy
    table = plain_table("configuration", *columns)
    for _, name, configuration in ranked:
        labels = [format_percent(configuration.label_accuracy_mean)] if noisy else []
        accuracies = format_accuracy(configuration.val_accuracy_mean), format_accuracy(configuration.test_accuracy_mean)
        values = [format_objective(metric, configuration.objectives[metric]) for metric in others]
        table.add_row(name, str(configuration.n), *accuracies, format_interval(configuration.ci95), *values, *labels)
    return table


def next_commands(confirmation: Confirmation, options: argparse.Namespace) -> list[tuple[str, str]]:
    """(purpose, command) of each."""
    top = "" if options.top == 3 else f" --top {options.top}"
    margin = None if options.margin == DEFAULT_MARGIN else options.margin
    same = quoted_flags({"--margin": margin, "--concurrency": options.concurrency})
    again = command_line("harness.confirm", options.name) + top + same + follow_up_flags(options)
    commands = [("all numbers:", shlex.quote(str(confirmation.file)))]
    if confirmation.lost:
        sequential = " --sequential" if confirmation.sequential else ""
        extent = quoted_flags({"--seeds": options.seeds, "--budget": options.budget})
        commands.insert(0, ("go on:", f"{again}{sequential}{extent}"))
    elif confirmation.outcome == "undecided":  # further looks need the sequential rule
        commands.insert(0, ("go on:", f"{again} --sequential --seeds {max(MAX_SEQUENTIAL_SEEDS, 2 * confirmation.n)}"))
    if confirmation.mlflow is not None and confirmation.mlflow.tracking_uri.startswith("sqlite:"):
        commands.append(("look at it:", command_line("harness.ui") + follow_up_flags(options, runs=False)))
    return commands
