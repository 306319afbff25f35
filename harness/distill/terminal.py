"""What the command line of a distillation prints at its end: teachers beside students, and the verdict."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.distill.run import Distillation


def show(outcome: Distillation) -> None:
    found = outcome.findings
    console = Console(highlight=False)
    console.print(results_table(found), "", sep="\n")
    console.print(found["verdict"], markup=False)
    for pair in found["against_one_hot"]:
        console.print(pair["sentence"], markup=False)
    for note in found["notes"]:
        console.print(f"note: {note}", markup=False)
    console.print("")
    console.print(f"{'all numbers:':<13}{outcome.file}", soft_wrap=True, markup=False)
    report = outcome.file.parent / "report.html"
    if report.exists():
        console.print(f"{'read it:':<13}{report}", soft_wrap=True, markup=False)


def results_table(found: Mapping[str, Any]) -> Table:
    """Each teacher with its student, the best students first."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("teacher", no_wrap=True)
    table.add_column("its test\naccuracy", justify="right")
    table.add_column("its student's\ntest accuracy", justify="right")
    table.add_column("95 % interval\nover seeds", justify="right")
    table.add_column("seeds", justify="right")
    ranked = sorted(found["arms"].items(), key=lambda item: -(item[1]["student"]["test_accuracy_mean"] or 0.0))
    for arm, one in ranked:
        teacher, student = one["teacher"], one["student"]
        table.add_row(
            "none" if teacher is None else f"{arm}-{teacher['trial']}",
            "" if teacher is None else _share(teacher["test_accuracy_mean"]),
            _share(student["test_accuracy_mean"]),
            _between(student["ci95"]),
            str(student["n"]),
        )
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _between(ends: tuple[float | None, float | None] | None) -> str:
    low, high = ends or (None, None)
    return "–" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
