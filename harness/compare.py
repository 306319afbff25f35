"""Comparison of sweeps on a tracking server: results of their arms, differences, and whether they are comparable.

    python -m harness.compare NAME [NAME …] [--tracking-uri URI | --runs-dir runs] [--csv F] [--json F] [--html F]

A NAME is a sweep, a study (its newest sweep) or a run id. Each is compared with the first. Exit codes: 0
done, 2 the input is wrong or the server is not there.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cli
from harness.common.callable_module import make_callable
from harness.common.formatting import format_accuracy, format_interval, format_percent
from harness.common.urls import Url, parse_location
from harness.tracking.tracking_uri import TrackingError, check_server, redact_uri, resolve_uri
from harness.tuning.storage.workspace import local_runs_dir

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from analysis.frames.comparison import ComparedSweep, Relation

EXAMPLES = """\
examples:
  python -m harness.compare label_lr wide
  python -m harness.compare label_lr wide --tracking-uri http://localhost:5000 --html compare.html

exit codes: 0 done · 2 bad input"""
TERMINAL_WIDTH = 80


@dataclasses.dataclass(frozen=True)
class SweepComparison:
    """Sweeps side by side: `table` has one row per arm of a sweep, `relations` one entry per sweep after the first."""

    sweeps: "list[ComparedSweep]"
    table: "pd.DataFrame"
    relations: "list[Relation]"

    def to_dict(self) -> dict[str, Any]:
        """Everything that is printed, as data for JSON."""
        return {
            "sweeps": [
                {
                    "sweep": sweep.label,
                    "study": sweep.source.study,
                    "run_id": sweep.source.run_id,
                    "state": sweep.source.state,
                    "begun": sweep.frame.begun,
                    "trials": len(sweep.frame.trials),
                    "commit": sweep.commit,
                    "dirty": sweep.dirty,
                    "objectives": [str(objective) for objective in sweep.space.objectives] if sweep.space else None,
                    "verdict": sweep.verdict,
                }
                for sweep in self.sweeps
            ],
            "arms": json.loads(self.table.to_json(orient="records")),
            "relations": [dataclasses.asdict(item) | {"sentence": item.sentence} for item in self.relations],
        }


def compare_sweeps(
    *names: str, runs_dir: Path | Url | str = "runs", tracking_uri: str | None = None
) -> SweepComparison:
    """Compare tracked sweeps, each with the first.

    Args:
        names: sweeps, studies (the newest sweep of each) or run ids.
        runs_dir: the folder whose SQLite database is read, if `tracking_uri` is not given.
        tracking_uri: of an MLflow server.

    Raises:
        TrackingError: there is no such server or sweep.
    """
    uri = _resolve_uri(runs_dir, tracking_uri)
    check_server(uri)
    # mlflow and pandas take seconds to import: not before the input is known to be good
    from analysis.frames import comparison
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    reader = MlflowReader(uri)
    names_by_run: dict[str, str] = {}
    sources = []
    for name in names:
        source = reader.sweep(name)
        if source.run_id in names_by_run:
            first = names_by_run[source.run_id]
            raise TrackingError(f"NAME: '{first}' and '{name}' are one sweep, {source.name}; name another")
        names_by_run[source.run_id] = name
        sources.append(source)
    sweeps = comparison.read(sources)
    return SweepComparison(sweeps, comparison.table(sweeps), comparison.relations(sweeps))


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.compare", "Show sweeps side by side, and say which cannot be compared.", EXAMPLES)
    parser.add_argument("names", metavar="NAME", nargs="+", help="a sweep, a study (its newest sweep) or a run id")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow's server or database (default: SQLite inside the runs folder)"
    )
    cli.add_runs_dir(where)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table: one row per arm of a sweep")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that is printed as data")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page that needs no network")
    options = parser.parse_args(arguments)
    for flag, path in (("--csv", options.csv), ("--json", options.json), ("--html", options.html)):
        if path is not None and not path.absolute().parent.is_dir():
            raise TrackingError(f"{flag}: expected a file in a folder that exists, got '{path}'; make it first")
    compared = compare_sweeps(*options.names, runs_dir=options.runs_dir, tracking_uri=options.tracking_uri)
    _print(compared)
    try:
        if options.csv:
            compared.table.to_csv(options.csv, index=False)
        if options.json:
            options.json.write_text(json.dumps(compared.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        if options.html:
            from analysis.report.comparison_page import comparison_page

            server = redact_uri(_resolve_uri(options.runs_dir, options.tracking_uri))
            options.html.write_text(
                comparison_page(compared.sweeps, compared.table, compared.relations, server), encoding="utf-8"
            )
    except OSError as error:
        return cli.print_error(error)
    return cli.DONE


def _resolve_uri(runs_dir: Path | Url | str, tracking_uri: str | None) -> str:
    return resolve_uri(
        tracking_uri, local_runs_dir(parse_location(runs_dir) if isinstance(runs_dir, str) else runs_dir)
    )


def _print(compared: SweepComparison) -> None:
    from rich.console import Console

    from harness.console import trimmed

    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else TERMINAL_WIDTH)
    with trimmed(console):
        _print_on(console, compared)


def _print_on(console: "Console", compared: SweepComparison) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from analysis.frames.comparison import parameters_text

    for sweep in compared.sweeps:
        source, frame = sweep.source, sweep.frame
        console.print(
            f"{sweep.label}: {source.state}, {len(frame.trials)} trials, begun {frame.begun}, code {sweep.code}"
        )
        if sweep.other_objectives:
            also = f"  searched to {sweep.other_objectives} too"
            console.print(f"{also}; below, each arm's best validation accuracy alone")
    confirmed = bool(compared.table["test_seeds"].notna().any())
    results: dict[str, Callable[[Any], str]] = {
        "trials": lambda row: str(row["trials"]),
        "validation\naccuracy": lambda row: _accuracy_lines(row, "val"),
        **({"test\naccuracy": lambda row: _accuracy_lines(row, "test")} if confirmed else {}),
        "labels\nput right": lambda row: format_percent(row["noisy_labels_corrected"]),
    }
    console.print()
    console.print(_terminal_table(compared.table, results, justify="right", no_wrap=True))
    console.print()
    parameters = {"parameters of the best on validation": parameters_text}
    console.print(_terminal_table(compared.table, parameters, overflow="fold"))
    for relation in compared.relations:
        console.print(f"\n{relation.sentence}{':' if relation.reasons else ''}")
        for line in (*relation.reasons, *relation.changes):
            console.print(Padding(Text(line), (0, 0, 0, 2)))
        if relation.gap:
            console.print(relation.gap)
    for sweep in compared.sweeps:
        if sweep.verdict is not None:
            console.print(f"\n{sweep.label}, confirmed: {sweep.verdict}")


def _accuracy_lines(row: Any, part: str) -> str:
    ends = format_interval((row[f"{part}_low"], row[f"{part}_high"]), missing="")
    seeds = f"n = {row['test_seeds']:.0f}" if part == "test" and row["test_seeds"] > 0 else ""
    return "\n".join(filter(None, [format_accuracy(row[f"{part}_accuracy"]), ends, seeds]))


def _terminal_table(table: "pd.DataFrame", columns: Mapping[str, Callable[[Any], str]], **style: Any) -> Any:
    """Arms and sweeps with `columns`, by heading; `style` is that of rich's columns."""
    from rich.text import Text

    from harness.console import borderless_table

    shown = borderless_table()
    for name in ("arm", "sweep"):
        shown.add_column(name, overflow="fold", min_width=8)
    for heading in columns:
        shown.add_column(heading, **style)
    repeated = table["arm"].duplicated()
    for (_, row), again in zip(table.iterrows(), repeated, strict=True):
        cells = ["" if again else row["arm"], row["sweep"], *(cell(row) for cell in columns.values())]
        shown.add_row(*map(Text, cells))
    return shown


make_callable(__name__, "compare_sweeps")

if __name__ == "__main__":
    sys.exit(main())
