"""Terminal output of a search: headline, table of results, the commands to type next."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from harness.common.formatting import format_accuracy, format_percent, format_settings
from harness.results.objectives import format_objective, heading
from harness.results.search_sentence import search_sentence
from harness.results.summary import ArmSummary, SweepSummary
from harness.results.tracking_status import TrackingStatus
from harness.space import Space
from harness.tuning.storage.sweep_folder import TRACEBACK

if TYPE_CHECKING:
    from rich.table import Table

MAX_FRONT_ROWS = 20
MAX_METRICS_BESIDE_PARAMETERS = 3
MAX_FAILURES = 3


def headline(space: Space, path: Path) -> str:
    arms = ", ".join(arm.name for arm in space.arms)
    seeds = space.search.seeds_per_trial
    per_trial = f", {seeds} seeds each," if seeds > 1 else ""
    return f"{space.study}: {space.search.trials} trials{per_trial} of {arms} → {path}"


def show(summary: SweepSummary, space: Space, options: argparse.Namespace) -> None:
    """Print the table, the sentence, failures, the state of MLflow, and the commands a user would type next."""
    from harness.console import print_result  # a tenth of a second to import: not before the first line

    sentences = [_failure(summary, options, *failure) for failure in list(summary.failures.items())[:MAX_FAILURES]]
    mlflow = summary.mlflow
    if mlflow is not None and mlflow.pending:
        why = f" ({mlflow.unreachable})" if mlflow.unreachable else ""
        sentences.append(f"MLflow has not taken {mlflow.pending} events yet{why}")
    if mlflow is not None and mlflow.skipped:
        sentences.append(f"MLflow's server failed on {mlflow.skipped} values or files, which were skipped")
    if summary.is_multi_objective:
        print(front_line(summary) + "\n")
    sentences.insert(0, search_sentence(summary))
    print_result(results_table(summary), sentences, next_commands(summary, space, options))


def _failure(summary: SweepSummary, options: argparse.Namespace, number: int, why: str) -> str:
    """A sentence on a failed trial, with the file of its traceback if there is one."""
    file = Path("trials", str(number), TRACEBACK)
    traceback = f"; traceback: {options.runs_dir / summary.name / file.as_posix()}"
    return f"trial {number} failed: {why}{traceback if (summary.path / file).exists() else ''}"


def next_commands(summary: SweepSummary, space: Space, options: argparse.Namespace) -> list[tuple[str, str]]:
    """(purpose, command) of each."""
    from harness.console import command_line, follow_up_flags, quoted_flags

    where = follow_up_flags(options)
    same = quoted_flags(
        {
            "--seed": options.seed,
            "--name": options.name,
            "--warm-start": options.warm_start,
            "--concurrency": options.concurrency,
            "--time-budget": options.time_budget and f"{options.time_budget:g}",
        }
    )
    same += " --log-models" * options.log_models + " --system-metrics" * options.system_metrics
    changes = "".join(f" --set {shlex.quote(change)}" for change in options.overrides)
    more = space.search.trials if summary.cut_short else 2 * space.search.trials
    search = command_line("harness.search", "--space", options.space)
    commands = [("go on:", f"{search}{changes}{same}{where} --trials {more}")]
    if summary.best is not None:
        commands.append(("confirm it:", command_line("harness.confirm", summary.name) + where))
    if summary.mlflow is not None and (summary.mlflow.pending or summary.mlflow.skipped):
        commands.append(("send it:", command_line("harness.sync", summary.name) + follow_up_flags(options, runs=False)))
    report = summary.path / "report.html"
    if report.exists():
        commands.append(("read it:", shlex.quote(str(report))))
    if summary.mlflow is not None:
        if summary.mlflow.tracking_uri.startswith("sqlite:"):
            commands.append(("look at it:", command_line("harness.ui") + follow_up_flags(options, runs=False)))
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

    if summary.is_multi_objective:
        return _front_table(summary)
    seeds = "" if summary.seeds_per_trial == 1 else f",\n{summary.seeds_per_trial} seeds"
    columns = "trials", f"validation\naccuracy{seeds}", "wrong labels\nput right"
    table = plain_table("arm", *columns, last="parameters")
    for name, arm in sorted(summary.arms.items(), key=lambda item: -(item[1].val_accuracy or 0.0)):
        table.add_row(
            name,
            str(arm.trials),
            format_accuracy(arm.val_accuracy) + _spread(arm),
            format_percent(arm.noisy_labels_corrected),
            "no trial completed" if arm.params is None else escape("\n".join(format_settings(arm.params))),
            end_section=True,
        )
    return table


def _spread(arm: ArmSummary) -> str:
    """Standard deviation over the seeds of a trial, where it has several."""
    return "" if arm.val_accuracy_std is None else f" ± {arm.val_accuracy_std:.3f}"


def front_line(summary: SweepSummary) -> str:
    """A line that describes the table of several objectives."""
    count = len(summary.front)
    more = f"; the first {MAX_FRONT_ROWS} here, all in summary.json" if count > MAX_FRONT_ROWS else ""
    complete = summary.states.complete
    return f"Pareto front, {count} of {complete} complete trials: what gains in one loses in another{more}"


def _front_table(summary: SweepSummary) -> "Table":
    from rich.markup import escape

    from harness.console import plain_table

    metrics = [objective.metric for objective in summary.objectives]
    with_parameters = len(metrics) <= MAX_METRICS_BESIDE_PARAMETERS
    table = plain_table("trial", *map(heading, metrics), last="parameters" if with_parameters else None)
    for trial in summary.front[:MAX_FRONT_ROWS]:
        values = [format_objective(metric, trial.values[metric]) for metric in metrics]
        params = escape(", ".join(format_settings(trial.params, "=")))
        table.add_row(trial.name, *values, *([params] if with_parameters else []))
    return table
