"""What the command line of `harness.semantics` prints: one table, one sentence."""

from rich.console import Console
from rich.table import Table

from harness.common.formatting import MISSING, correlation, interval, p_value, percent
from harness.console import plain_table, print_commands
from harness.results import Semantics


def show(found: Semantics) -> None:
    console = Console(highlight=False)
    console.print(results_table(found), "", sep="\n")
    console.print(found.sentence, markup=False)
    console.print("")
    print_commands(console, [("all numbers:", str(found.file))])


def results_table(found: Semantics) -> Table:
    """One row per arm, those that agree best first; those whose labels order nothing last."""
    table = plain_table()
    table.add_column("labels of", no_wrap=True)
    table.add_column("runs", justify="right")
    table.add_column("mass on\nothers", justify="right")
    table.add_column("rank\ncorr.", justify="right")
    table.add_column("95 % interval\nover classes", justify="right", no_wrap=True)
    table.add_column("p", justify="right")
    table.add_column("most alike", no_wrap=True)
    for arm, one in found.ranked():
        agreement = one.symmetric
        table.add_row(
            f"{arm}-{one.trial}",
            str(one.runs),
            percent(one.off_class_mass, 1),
            correlation(agreement.rho),
            MISSING if agreement.rho is None else interval(agreement.ci95, digits=2),
            p_value(agreement.p_value),
            "" if agreement.rho is None else ", ".join(f"{i}~{j}" for i, j, _ in one.most_alike[:2]),
        )
    return table
