"""Report of a sweep as one HTML file: verdict, figures, search, hardware and versions, and how to run it again.

    python -m harness.report NAME [--runs-dir runs] [--out FILE]

Written from the sweep's folder alone, so that it needs no server and no network, and neither does its reader. Exit
codes: 0 done, 2 the input is wrong.
"""

import contextlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from harness import cli
from harness.common.atomic_files import write_text
from harness.results import Confirmation, Distillation, Provenance, Semantics, SweepSummary
from harness.results.search_sentence import search_sentence
from harness.results.sweep_data import SweepData
from harness.tuning.storage.sweep_folder import display_name, find_sweep
from harness.tuning.storage.workspace import SweepAccess, open_workspace

FILE = "report.html"
ERROR_FILE = "report.error.txt"

EXAMPLES = """\
examples:
  python -m harness.report label_lr
  python -m harness.report label_lr --out ~/label_lr.html

exit codes: 0 done · 2 bad input"""


def report(folder: Path | str) -> Path | None:
    """Write `report.html` into the sweep's `folder`, as it stands now; returns the file.

    Raises nothing: a report is no reason for a sweep to fail. None where it could not be written, and then
    `report.error.txt` beside it says why.
    """
    sweep_folder = Path(folder)
    with contextlib.suppress(OSError):
        (sweep_folder / ERROR_FILE).unlink(missing_ok=True)
    try:
        return write(sweep_folder, sweep_folder / FILE)
    except Exception:
        with contextlib.suppress(OSError):
            (sweep_folder / ERROR_FILE).write_text(traceback.format_exc(), encoding="utf-8")
        return None


def write(folder: Path, out: Path) -> Path:
    """Write the report of the sweep in `folder` to `out`, whole or not at all.

    Raises:
        EventLogError: the folder holds no records of a sweep.
        OSError: the file cannot be written.
    """
    out.parent.stat()  # a missing folder is a mistake in --out, and is not created
    write_text(out, render(folder))
    return out


def render(folder: Path) -> str:
    """The page. Parts that the folder does not have yet (the sweep still runs, is not confirmed) are left out."""
    # pandas and matplotlib take a second to import: not before a folder is there
    from analysis.frames import sweep_frame
    from analysis.report import distillation_sections, figure_sections, sections, svg
    from analysis.report.markup import element
    from analysis.report.page import page
    from harness.space import SpaceError, load
    from harness.tracking.spool.spooled_sweep import SpooledSweep

    frame = sweep_frame.read(SpooledSweep.read(folder))
    sweep = frame.sweep
    provenance = Provenance.load_or_none(folder)
    data = SweepData.load_or_none(folder)
    confirmation = Confirmation.load_or_none(folder)
    summary = SweepSummary.load_or_none(folder)
    students = folder.parent / f"{folder.name}-distill"
    distillation = Distillation.load_or_none(folder) or Distillation.load_or_none(students)
    space_file = folder / "space.yaml"
    try:
        space = load(space_file)
    except (SpaceError, OSError):
        space = None
    name = "" if sweep.study == sweep.name else f"study {sweep.study}, "
    result = search_sentence(summary) if summary else "the search is not at its end, and nothing is summed up yet."
    with svg.page_style():
        return page(
            f"{sweep.name}: learned soft labels",
            element("h1", sweep.name),
            element("p", f"{name}{sweep.state}, {len(frame.trials)} trials, begun {frame.begun}", class_="under"),
            sections.verdict(frame, confirmation, result),
            sections.confirmed(confirmation),
            distillation_sections.teachers(distillation),
            distillation_sections.class_similarity(Semantics.load_or_none(folder)),
            sections.arms(frame),
            sections.pareto(frame, summary),
            figure_sections.accuracy_response(frame),
            figure_sections.search(frame, space),
            sections.trials(frame),
            sections.provenance(provenance, frame, data.sentences if data else []),
            sections.reproduction(
                provenance,
                frame,
                display_name(folder.parent),
                space_file if space_file.exists() else None,
                confirmation,
            ),
            script="page.js",
        )


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.report", "Write a sweep as one HTML file that needs no network.", EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    cli.add_runs_dir(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"the page (default: {FILE} in the sweep's folder)")
    options = parser.parse_args(arguments)
    try:
        with open_workspace(options.runs_dir, SweepAccess(options.name, writes=False)) as workspace:
            folder = find_sweep(workspace.local, options.name)
            print(write(folder, options.out or folder / FILE))
    except OSError as error:
        print(f"--out: expected a file that can be written, got: {error}", file=sys.stderr)
        return cli.BAD_INPUT
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
