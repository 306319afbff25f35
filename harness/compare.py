"""Sweeps side by side, read from any tracking server: what their arms came to, what differs, and whether they compare.

    python -m harness.compare NAME [NAME …] [--tracking-uri URI | --runs-dir runs] [--csv F] [--json F] [--html F]

A name is a sweep's, a study's (its newest sweep) or a run's id. The others are held against the first. Exit codes: 0
done, 2 the input is wrong or the server is not there.
"""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cli
from harness.common.callable_module import make_callable
from harness.common.urls import Url, parse_place
from harness.tracking.tracking_uri import TrackingError, check_server, redact_uri, resolve_uri
from harness.tuning.storage.workspace import local_runs_dir

if TYPE_CHECKING:
    import pandas as pd

    from analysis.frames.comparison import Relation, Side

EXAMPLES = """\
examples:
  python -m harness.compare label_lr wide
  python -m harness.compare label_lr wide --tracking-uri http://localhost:5000 --html compare.html

exit codes: 0 done · 2 bad input"""
TERMINAL_WIDTH = 80


@dataclass(frozen=True)
class SweepComparison:
    """Sweeps side by side: `table` has one row per arm of a sweep, `relations` one entry per sweep after the first."""

    table: "pd.DataFrame"
    relations: "list[Relation]"


def compare_sweeps(
    *names: str, runs_dir: Path | Url | str = "runs", tracking_uri: str | None = None
) -> SweepComparison:
    """Compare sweeps that were tracked; the first is the one that the others are held against.

    Args:
        names: sweeps, studies (the newest sweep of each) or run ids.
        runs_dir: the folder whose SQLite database is read, if `tracking_uri` is not given.
        tracking_uri: of an MLflow server.

    Raises:
        TrackingError: there is no such server or sweep.
    """
    uri = resolve_uri(tracking_uri, local_runs_dir(parse_place(runs_dir) if isinstance(runs_dir, str) else runs_dir))
    check_server(uri)
    sides = _sides(uri, names)
    from analysis.frames import comparison

    return SweepComparison(comparison.table(sides), comparison.relations(sides))


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.compare", "Sweeps side by side, and whether they compare at all.", EXAMPLES)
    parser.add_argument("names", metavar="NAME", nargs="+", help="a sweep, a study (its newest sweep) or a run id")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--tracking-uri", metavar="URI", help="of MLflow (default: SQLite inside the runs folder)")
    cli.add_runs_dir(where)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the table of arms, one row an arm of a sweep")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that is printed, as data")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page of its own, without network")
    options = parser.parse_args(arguments)
    uri = resolve_uri(options.tracking_uri, local_runs_dir(options.runs_dir))
    for flag, path in (("--csv", options.csv), ("--json", options.json), ("--html", options.html)):
        if path is not None and not path.absolute().parent.is_dir():
            raise TrackingError(f"{flag}: expected a file in a folder that exists, got '{path}'; make it first")
    check_server(uri)
    sides = _sides(uri, options.names)
    from analysis.frames import comparison

    table, relations = comparison.table(sides), comparison.relations(sides)
    _show(sides, table, relations)
    try:
        if options.csv:
            table.to_csv(options.csv, index=False)
        if options.json:
            options.json.write_text(json.dumps(_data(sides, table, relations), indent=2, allow_nan=False) + "\n")
        if options.html:
            options.html.write_text(_page(sides, table, relations, redact_uri(uri)))
    except OSError as error:
        return cli.refuse(error)
    return cli.DONE


def _sides(uri: str, names: Sequence[str]) -> "list[Side]":
    # mlflow and pandas take seconds to import: not before the input is known to be good
    from analysis.frames import comparison
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    server = MlflowReader(uri)
    sweeps = [server.sweep(name) for name in names]
    for place, sweep in enumerate(sweeps):
        earlier = [each.run_id for each in sweeps[:place]]
        if sweep.run_id in earlier:
            first = names[earlier.index(sweep.run_id)]
            raise TrackingError(f"NAME: '{first}' and '{names[place]}' are one sweep, {sweep.name}; name another")
    return comparison.read(sweeps)


# Words


def _accuracy(row: Any, kind: str) -> str:
    return "–" if math.isnan(row[f"{kind}_accuracy"]) else f"{row[f'{kind}_accuracy']:.3f}"


def _range(row: Any, kind: str) -> str:
    low, high = row[f"{kind}_low"], row[f"{kind}_high"]
    return "" if math.isnan(low) or math.isnan(high) else f"[{low:.3f}, {high:.3f}]"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"


def _seeds(row: Any) -> str:
    return "" if math.isnan(row["test_seeds"]) else f"n = {row['test_seeds']:.0f}"


def _code(side: "Side") -> str:
    return f"{side.commit[:10]}{' with changes' if side.dirty else ''}" if side.commit else "unknown"


def _begun(side: "Side") -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(side.tracked.started / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _states(row: Any) -> str:
    return f"{row['complete']} complete, {row['pruned']} pruned, {row['failed']} failed"


# On the terminal


def _show(sides: "Sequence[Side]", table: "pd.DataFrame", relations: "Sequence[Relation]") -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else TERMINAL_WIDTH)

    def say(text: str = "") -> None:
        console.print(text, markup=False)

    for side in sides:
        state = f"{side.tracked.state}, {len(side.study.trials)} trials, begun {_begun(side)}, code {_code(side)}"
        say(f"{side.label}: {state}")
        if side.several:
            say(f"  searched to {side.several} too; below, each arm's best validation accuracy alone")
    say()
    console.print(_terminal_table(table))
    say()
    console.print(_parameters(table))
    for relation in relations:
        say()
        say(f"{relation.sentence}:" if relation.reasons else relation.sentence)
        for line in (*relation.reasons, *relation.changes):
            console.print(Padding(Text(line), (0, 0, 0, 2)))
        if relation.gap:
            say(relation.gap)
    for side in sides:
        if "verdict" in side.tracked.tags:
            say()
            say(f"{side.label}, confirmed: {side.tracked.tags['verdict']}")


def _terminal_table(table: "pd.DataFrame") -> Any:
    from rich.markup import escape

    shown = _columns("arm", "sweep")
    shown.add_column("trials", justify="right")
    shown.add_column("validation\naccuracy", justify="right", no_wrap=True)
    confirmed = bool(table["test_seeds"].notna().any())
    if confirmed:
        shown.add_column("test\naccuracy", justify="right", no_wrap=True)
    shown.add_column("labels\nput right", justify="right", no_wrap=True)
    for arm, rows in table.groupby("arm", sort=False):
        for place, (_, row) in enumerate(rows.iterrows()):
            test = "\n".join(filter(None, [_accuracy(row, "test"), _range(row, "test"), _seeds(row)]))
            shown.add_row(
                "" if place else escape(str(arm)),
                escape(row["sweep"]),
                str(row["trials"]),
                f"{_accuracy(row, 'val')}\n{_range(row, 'val')}",
                *([test] if confirmed else []),
                _percent(row["noisy_labels_corrected"]),
            )
    return shown


def _parameters(table: "pd.DataFrame") -> Any:
    from rich.markup import escape

    shown = _columns("arm", "sweep")
    shown.add_column("parameters of the best on validation", overflow="fold")
    for arm, rows in table.groupby("arm", sort=False):
        for place, (_, row) in enumerate(rows.iterrows()):
            shown.add_row("" if place else escape(str(arm)), escape(row["sweep"]), escape(_settings(row)))
    return shown


def _columns(*names: str) -> Any:
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in names:
        shown.add_column(name, overflow="fold", min_width=8)
    return shown


def _settings(row: Any) -> str:
    return row["parameters"] or "nothing varied" if isinstance(row["parameters"], str) else "no trial completed"


# Into files


def _data(sides: "Sequence[Side]", table: "pd.DataFrame", relations: "Sequence[Relation]") -> dict[str, Any]:
    sweeps = [
        {
            "sweep": side.label,
            "study": side.tracked.study,
            "run_id": side.tracked.run_id,
            "state": side.tracked.state,
            "begun": _begun(side),
            "trials": len(side.study.trials),
            "commit": side.commit,
            "dirty": side.dirty,
            "objectives": [str(each) for each in side.space.objectives] if side.space else None,
            "verdict": side.tracked.tags.get("verdict"),
        }
        for side in sides
    ]
    arms = json.loads(table.to_json(orient="records"))
    fields = ("label", "to", "comparable", "reasons", "changes", "gap", "sentence")
    return {
        "sweeps": sweeps,
        "arms": arms,
        "relations": [{field: getattr(relation, field) for field in fields} for relation in relations],
    }


def _page(sides: "Sequence[Side]", table: "pd.DataFrame", relations: "Sequence[Relation]", where: str) -> str:
    from analysis.report.markup import element
    from analysis.report.markup import table as html_table
    from analysis.report.page import listing, note, page, section

    def cell(value: str, interval: str) -> list[Any]:
        return [value, element("span", interval, class_="range") if interval else None]

    rows = [
        [
            row["arm"],
            row["sweep"],
            [str(row["trials"]), element("small", element("br"), _states(row))],
            cell(_accuracy(row, "val"), _range(row, "val")),
            cell(_accuracy(row, "test"), " ".join(filter(None, [_range(row, "test"), _seeds(row)]))),
            _percent(row["noisy_labels_corrected"]),
            [[element("br") if place else None, each.replace(" = ", "\u00a0")] for place, each in enumerate(settings)],
        ]
        for _, row in table.iterrows()
        for settings in [_settings(row).split(", ")]
    ]
    head = ["arm", "sweep", "trials", "validation accuracy", "test accuracy", "labels put right", "parameters"]
    whether = [
        element(
            "article",
            element("p", element("span", relation.sentence, class_=relation.comparable)),
            listing([*relation.reasons, *relation.changes]),
            note(relation.gap) if relation.gap else None,
        )
        for relation in relations
    ]
    about = [
        [side.label, side.tracked.study, side.tracked.state, _begun(side), _code(side), side.tracked.run_id]
        for side in sides
    ]
    verdicts = [(side, side.tracked.tags["verdict"]) for side in sides if "verdict" in side.tracked.tags]
    return page(
        " · ".join(side.label for side in sides),
        element("h1", " · ".join(side.label for side in sides)),
        note(f"read from {where}"),
        section("Do they compare?", *whether) if whether else None,
        section(
            "Arms",
            html_table(head, rows, numbers=(3, 4, 5), class_="cards"),
            note(
                "The best complete trial of each arm. Validation accuracy is a single run's, chosen for it, with the "
                "95 % interval that another draw of so many images would give; test accuracy is the confirmation's "
                "mean over fresh seeds, with its 95 % interval."
            ),
            [
                note(f"{side.label} searched to {side.several} too: this is each arm's best accuracy alone.")
                for side in sides
                if side.several
            ],
        ),
        section("Verdicts", [element("p", element("b", side.label), ": ", text) for side, text in verdicts])
        if verdicts
        else None,
        section("Sweeps", html_table(["sweep", "study", "state", "begun", "code", "run"], about)),
    )


make_callable(__name__, "compare_sweeps")

if __name__ == "__main__":
    sys.exit(main())
