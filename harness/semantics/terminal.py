"""Terminal output of `harness.semantics`: one table, one sentence."""

from rich.markup import escape
from rich.table import Table

from harness.common.formatting import MISSING, format_correlation, format_interval, format_p_value, format_percent
from harness.console import plain_table, print_result
from harness.results import Semantics

SHOWN_PAIRS = 2


def show(semantics: Semantics) -> None:
    print_result(results_table(semantics), [semantics.sentence], [("all numbers:", str(semantics.file))])


def results_table(semantics: Semantics) -> Table:
    """One row per arm, by agreement, best first; those with a constant table last."""
    columns = "runs", "mass on\nothers", "rank\ncorr.", "95 % interval\nover classes", "p"
    table = plain_table("labels of", *columns, last="most alike")
    for arm, results in semantics.ranked():
        agreement = results.symmetric
        table.add_row(
            f"{arm}-{results.trial}",
            str(results.runs),
            format_percent(results.off_class_mass, 1),
            format_correlation(agreement.rho),
            MISSING if agreement.rho is None else format_interval(agreement.ci95, digits=2),
            format_p_value(agreement.p_value),
            "" if agreement.rho is None else escape(semantics.pairs_most_alike(results, SHOWN_PAIRS)),
        )
    return table
