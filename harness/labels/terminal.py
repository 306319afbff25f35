"""Terminal output of `harness.labels`: the first rows of the table, sentences about all of it, and the page."""

from rich.markup import escape
from rich.table import Table

from harness.common.formatting import format_accuracy
from harness.console import borderless_table, print_result
from harness.labels.ranking import LabelRanking


def show(ranking: LabelRanking, rows: int) -> None:
    """Print the first `rows` rows, and the sentences about the ranking."""
    shown = min(rows, len(ranking.table))
    more = f"The first {shown:,} of {len(ranking.table):,} labels, the most suspicious first."
    print_result(
        results_table(ranking, rows),
        [more, *ranking.sentences],
        [("look at it:", str(ranking.page))],
    )


def results_table(ranking: LabelRanking, rows: int) -> Table:
    """One row per label, the most suspicious first."""
    has_truth = "truth" in ranking.table
    table = borderless_table()
    table.add_column("image" if ranking.noun == "images" else "row", overflow="fold")
    for heading in ("given", "learned"):
        table.add_column(heading, overflow="fold", max_width=16)
    for heading in ("its\nprobability", "left to\nthe given"):
        table.add_column(heading, justify="right")
    if has_truth:
        table.add_column("truth", overflow="fold", max_width=16)
    for row in ranking.table.head(rows).to_dict(orient="records"):
        table.add_row(
            *(escape(str(cell)) for cell in (row.get("image", row["index"]), row["given"], row["learned"])),
            *(format_accuracy(row[name]) for name in ("probability", "given_mass")),
            *([escape(str(row["truth"]))] if has_truth else []),
        )
    return table
