"""What the command line of a distillation prints at its end: teachers beside students, and the verdict."""

from rich.console import Console
from rich.table import Table

from harness.common.formatting import accuracy, interval
from harness.console import plain_table, print_commands
from harness.results import Distillation


def show(found: Distillation) -> None:
    console = Console(highlight=False)
    console.print(results_table(found), "", sep="\n")
    console.print(found.verdict, markup=False)
    for effect in found.against_one_hot:
        console.print(effect.sentence, markup=False)
    for note in found.notes:
        console.print(f"note: {note}", markup=False)
    console.print("")
    report = found.path / "report.html"
    commands = [("all numbers:", str(found.file)), *([("read it:", str(report))] if report.exists() else [])]
    print_commands(console, commands)


def results_table(found: Distillation) -> Table:
    """Each teacher with its student, the best students first."""
    table = plain_table()
    table.add_column("teacher", no_wrap=True)
    table.add_column("its test\naccuracy", justify="right")
    table.add_column("its student's\ntest accuracy", justify="right")
    table.add_column("95 % interval\nover seeds", justify="right")
    table.add_column("seeds", justify="right")
    for arm, one in found.ranked():
        teacher, student = one.teacher, one.student
        table.add_row(
            "none" if teacher is None else f"{arm}-{teacher.trial}",
            "" if teacher is None else accuracy(teacher.test_accuracy_mean),
            accuracy(student.test_accuracy_mean if student else None),
            interval(student.ci95 if student else None),
            str(student.n if student else 0),
        )
    return table
