"""The paper's three claims, measured: runs the studies of each, then writes RESULTS.md.

    make claims                              the small forms: two cores
    python -m analysis.paper.claims --only NAME    some of them
    python -m analysis.paper.claims --full         the full forms: a GPU
    python -m analysis.paper.claims --rehearse     every command, shortened to seconds each; its numbers mean nothing
    python -m analysis.paper.claims --write        run nothing, write the page from the results there are

A study is a few commands of this project, one after the other. Each continues where it stopped, so this does too; what
is finished takes seconds. Exit codes: 0 done, 2 bad input, 130 interrupted, else that of the command that failed.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.paper.claim_study import CLAIMS, EARLIER, STUDIES, ClaimStudy, Command
from analysis.paper.results import write
from harness import cli
from harness.common.errors import InputError
from harness.space import load

HOME = Path(__file__).parents[2]
RESULTS = HOME / "analysis" / "RESULTS.md"


def chosen(full: bool, only: Sequence[str]) -> list[ClaimStudy]:
    """The small or the full studies, or those of them that are named.

    Raises:
        InputError: there is none of a name.
    """
    studies = [study for study in STUDIES if study.full == full]
    names = [study.name for study in studies]
    for name in only:
        if name not in names:
            raise InputError(f"--only: expected one of {', '.join(names)}, got '{name}'; --full has the others")
    return [study for study in studies if not only or study.name in only]


def run(command: Command, runs_dir: Path, rehearse: bool) -> int:
    """Run one command; returns its exit code."""
    module, *arguments = command
    shortened = shorten(module, arguments) if rehearse else []
    line = [module, *arguments, *shortened, "--runs-dir", str(runs_dir)]
    print(f"\n$ python -m {' '.join(line)}", flush=True)
    return subprocess.run([sys.executable, "-m", *line], check=False).returncode


def shorten(module: str, arguments: Sequence[str]) -> list[str]:
    """Arguments that shorten a command to seconds; of an option given twice the last one counts."""
    match module:
        case "harness.search":
            trials = str(len(load(arguments[arguments.index("--space") + 1]).arms))
            return ["--set", "epochs=2", "--set", "train_size=200", "--trials", trials]
        case "harness.confirm":
            return ["--top", "1", "--seeds", "2"]
        case "harness.distill":
            return ["--trials", "1", "--seeds", "2", "--epochs", "2"]
        case _:
            return ["--models", "1"]


@cli.command(interrupted="the same command continues")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("analysis.paper.claims", "Measure the paper's three claims, and write RESULTS.md.", "")
    parser.add_argument("--only", action="append", default=[], metavar="STUDY", help="this study; repeatable")
    parser.add_argument("--full", action="store_true", help="the full forms, for a GPU")
    parser.add_argument("--write", action="store_true", help="run nothing, write the page")
    parser.add_argument("--rehearse", action="store_true", help="every command shortened to seconds, in runs/rehearsal")
    parser.add_argument("--runs-dir", type=Path, metavar="DIR", help="default: runs")
    options = parser.parse_args(arguments)
    runs_dir = options.runs_dir or Path("runs/rehearsal" if options.rehearse else "runs")
    for study in chosen(options.full, options.only) if not options.write else []:
        for command in study.commands():
            code = run(command, runs_dir, options.rehearse)
            if code != cli.DONE:
                return code
    out = runs_dir / "RESULTS.md" if options.rehearse else RESULTS
    write(STUDIES, CLAIMS, runs_dir, out, EARLIER)
    print(f"\nwritten: {out}")
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
