"""Terminal output of a distillation: a table of teachers with their students, and the verdict."""

from rich.table import Table

from harness.common.formatting import format_accuracy, format_interval
from harness.console import plain_table, print_result
from harness.results import Distillation


def show(distillation: Distillation) -> None:
    sentences = [effect.sentence for effect in distillation.against_one_hot]
    notes = [f"note: {note}" for note in distillation.notes]
    commands = [("all numbers:", str(distillation.file)), ("read it:", str(distillation.path / "report.html"))]
    print_result(results_table(distillation), [distillation.verdict, *sentences, *notes], commands)


def results_table(distillation: Distillation) -> Table:
    """Each teacher with its student, the best students first."""
    columns = "its test\naccuracy", "its student's\ntest accuracy", "95 % interval\nover seeds", "seeds"
    table = plain_table("teacher", *columns)
    for arm, results in distillation.ranked():
        teacher, student = results.teacher, results.student
        table.add_row(
            "none" if teacher is None else f"{arm}-{teacher.trial}",
            "" if teacher is None else format_accuracy(teacher.test_accuracy_mean),
            format_accuracy(student.test_accuracy_mean if student else None),
            format_interval(student.ci95 if student else None),
            str(student.n if student else 0),
        )
    return table
