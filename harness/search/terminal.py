"""What the command line of a search prints before and after: the plan, the results, the commands to type next."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from harness.common.formatting import accuracy, percent, setting, settings
from harness.results.objectives import format_objective, heading
from harness.results.search_sentence import search_sentence
from harness.results.summary import ArmSummary, SweepSummary
from harness.results.tracking_status import TrackingStatus
from harness.space import Space
from harness.tracking.tracking_uri import redact_uri

if TYPE_CHECKING:
    from rich.table import Table

MAX_FRONT_ROWS = 20
MAX_METRICS_BESIDE_PARAMETERS = 3
MAX_FAILURES = 3


def headline(space: Space, path: Path) -> str:
    arms = ", ".join(arm.name for arm in space.arms)
    seeds = space.search.seeds_per_trial
    each = f", {seeds} seeds each," if seeds > 1 else ""
    return f"{space.study}: {space.search.trials} trials{each} of {arms} → {path}"


def show(summary: SweepSummary, space: Space, options: argparse.Namespace) -> None:
    """Print the table, the sentence, failures, the state of MLflow, and the commands a user would type next."""
    from rich.console import Console  # a tenth of a second to import: not before the first line

    from harness.console import print_commands

    console = Console(highlight=False)
    if summary.several:
        console.print(front_line(summary), "", sep="\n", soft_wrap=True)
    console.print(results_table(summary), "", search_sentence(summary), sep="\n")
    for number, reason in list(summary.failures.items())[:MAX_FAILURES]:
        console.print(f"trial {number} failed: {reason}", markup=False)
    mlflow = summary.mlflow
    if mlflow is not None and mlflow.pending:
        why = f" ({mlflow.unreachable})" if mlflow.unreachable else ""
        console.print(f"MLflow has not taken {mlflow.pending} records yet{why}", markup=False, soft_wrap=True)
    if mlflow is not None and mlflow.skipped:
        console.print(
            f"MLflow's server failed on {mlflow.skipped} values or files, which were set aside", soft_wrap=True
        )
    console.print("")
    print_commands(console, next_commands(summary, space, options), width=12)


def next_commands(summary: SweepSummary, space: Space, options: argparse.Namespace) -> list[tuple[str, str]]:
    """(purpose, command) of each."""
    from harness.console import python, quoted_flags

    where = quoted_flags(
        {
            "--runs-dir": None if options.runs_dir == Path("runs") else options.runs_dir,
            "--tracking-uri": options.tracking_uri and redact_uri(options.tracking_uri),
        }
    )
    same = quoted_flags(
        {
            "--seed": options.seed,
            "--name": options.name,
            "--warm-start": options.warm_start,
            "--address": options.address,
        }
    )
    changes = "".join(f" --set {shlex.quote(change)}" for change in options.overrides)
    more = space.search.trials if summary.cut_short else 2 * space.search.trials
    search = f"{python()} -m harness.search --space {shlex.quote(options.space)}"
    commands = [("go on:", f"{search}{changes}{same}{where} --trials {more}")]
    if summary.best is not None:
        commands.append(("confirm it:", f"{python()} -m harness.confirm {summary.name}{where}"))
    if summary.mlflow is not None and (summary.mlflow.pending or summary.mlflow.skipped):
        commands.append(("send it:", f"{python()} -m harness.sync {summary.name}{where}"))
    report = summary.path / "report.html"
    if report.exists():
        commands.append(("read it:", str(report)))
    if summary.mlflow is not None:
        uri = summary.mlflow.tracking_uri
        if uri.startswith("sqlite:"):
            commands.append(("look at it:", f"{python()} -m mlflow ui --backend-store-uri {uri}"))
        if summary.mlflow.run_id is not None:
            commands.append(("  then open", _mlflow_page(summary.mlflow)))
    return commands


def _mlflow_page(mlflow: TrackingStatus) -> str:
    """Address of MLflow's page on the sweep's own run."""
    server = mlflow.tracking_uri if mlflow.tracking_uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{mlflow.experiment_id}/runs/{mlflow.run_id}"


def results_table(summary: SweepSummary) -> "Table":
    """One row per arm, best first; with several objectives, one per trial on the Pareto front."""
    from rich.markup import escape

    from harness.console import plain_table

    if summary.several:
        return _front_table(summary)
    table = plain_table()
    table.add_column("arm", no_wrap=True)
    table.add_column("trials", justify="right")
    seeds = "" if summary.seeds_per_trial == 1 else f",\n{summary.seeds_per_trial} seeds"
    table.add_column(f"validation\naccuracy{seeds}", justify="right")
    table.add_column("wrong labels\nput right", justify="right")
    table.add_column("parameters", overflow="fold")
    for name, arm in sorted(summary.arms.items(), key=lambda item: -(item[1].val_accuracy or 0.0)):
        table.add_row(
            name,
            str(arm.trials),
            accuracy(arm.val_accuracy) + _spread(arm),
            percent(arm.noisy_labels_corrected),
            escape("\n".join(settings(arm.params or {}))) or "no trial completed",
            end_section=True,
        )
    return table


def _spread(arm: ArmSummary) -> str:
    """Standard deviation over the seeds of a trial, where it has several."""
    return "" if arm.val_accuracy_std is None else f" ± {arm.val_accuracy_std:.3f}"


def front_line(summary: SweepSummary) -> str:
    """What the table of several objectives shows, in a line."""
    count = len(summary.front)
    more = f"; the first {MAX_FRONT_ROWS} here, all in summary.json" if count > MAX_FRONT_ROWS else ""
    complete = summary.states.complete
    return f"Pareto front, {count} of {complete} complete trials: what gains in one loses in another{more}"


def _front_table(summary: SweepSummary) -> "Table":
    from rich.markup import escape

    from harness.console import plain_table

    table = plain_table()
    table.add_column("trial", no_wrap=True)
    metrics = [objective.metric for objective in summary.objectives]
    for metric in metrics:
        table.add_column(heading(metric), justify="right")
    with_parameters = len(metrics) <= MAX_METRICS_BESIDE_PARAMETERS
    if with_parameters:
        table.add_column("parameters")
    for trial in summary.front[:MAX_FRONT_ROWS]:
        values = [format_objective(metric, trial.values[metric]) for metric in metrics]
        params = ", ".join(f"{name}={escape(setting(value))}" for name, value in trial.params.items())
        table.add_row(trial.name, *values, *([params] if with_parameters else []))
    return table
