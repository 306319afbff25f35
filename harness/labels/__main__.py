"""The command line of `harness.labels.labels`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import cli
from harness.common.atomic_files import write_text
from harness.labels.run import MAX_PICTURES, PAGE, check_output, labels

EXAMPLES = """\
examples:
  python -m harness.labels photos
  python -m harness.labels photos --csv suspicious.csv --rows 50
  python -m harness.labels photos --arm elr --html elr.html

Confirm the sweep first: the mean over its fresh seeds is steadier than one run,
and covers nearly all images. The page shows the pictures; what is ticked there
is saved as a corrected given.csv.

exit codes: 0 done · 1 no labels to read · 2 bad input"""


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser(
        "harness.labels", "Which labels of the data are probably wrong, by the labels that a sweep learned?", EXAMPLES
    )
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--arm", metavar="ARM", help="whose labels (default: those of the best arm)")
    whose.add_argument("--trial", type=cli.whole_number, metavar="N", help="a trial of the search, instead of the best")
    cli.add_count(parser, "--rows", "of the table that are printed", default=20)
    cli.add_count(parser, "--pictures", "the most labels on the page, each with its picture", default=MAX_PICTURES)
    parser.add_argument("--html", type=Path, metavar="FILE", help=f"the page (default: {PAGE} in the sweep's folder)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the whole table, one row a label")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything that is printed, and the whole table")
    cli.add_runs_dir(parser)
    options = parser.parse_args(arguments)
    for flag, file in (("--html", options.html), ("--csv", options.csv), ("--json", options.json)):
        if file is not None:
            check_output(flag, file)
    ranking = labels(
        options.name,
        arm=options.arm,
        trial=options.trial,
        runs_dir=options.runs_dir,
        page=options.html,
        pictures=options.pictures,
        log=lambda text: print(f"{text}\n", flush=True),
    )
    from harness.labels.terminal import show

    try:
        if options.csv is not None:
            write_text(options.csv, ranking.table.to_csv(index=False))
        if options.json is not None:
            write_text(options.json, json.dumps(ranking.to_dict(), indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        return cli.print_error(error)
    show(ranking, options.rows)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
