"""The paper's three claims, measured: runs the studies that speak to each, then writes down what came out.

    make claims                              the small forms: two cores
    python -m analysis.paper.claims --only NAME    some of them
    python -m analysis.paper.claims --full         the full forms: a GPU
    python -m analysis.paper.claims --rehearse     every command, cut down to seconds each; its numbers mean nothing
    python -m analysis.paper.claims --write        run nothing, write down what there is

A study is a few commands of this project, one after the other. Each goes on where it stopped, so this does too; what
is finished takes seconds. `analysis.paper.results` writes RESULTS.md and its figures from the files they leave, and
keeps what it said of studies that left none here. Exit codes: 0 done, 2 bad input, 130 interrupted, else that of the
command that failed.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.paper.claim_study import CLAIMS, STUDIES, ClaimStudy, Command
from analysis.paper.results import write
from harness import cli

HOME = Path(__file__).parents[2]
RESULTS = HOME / "analysis" / "RESULTS.md"


def chosen(full: bool, only: Sequence[str]) -> list[ClaimStudy]:
    """The studies of one form, or those of it that are named.

    Raises:
        ValueError: there is none of a name.
    """
    form = [study for study in STUDIES if study.full == full]
    names = [study.name for study in form]
    for name in only:
        if name not in names:
            raise ValueError(f"--only: expected one of {', '.join(names)}, got '{name}'; --full has the others")
    return [study for study in form if not only or study.name in only]


def run(command: Command, runs_dir: Path, rehearse: bool) -> int:
    """One command, its output where ours goes; returns its exit code."""
    module, *arguments = command
    words = [module, *arguments, *(cut_down(module, arguments) if rehearse else []), "--runs-dir", str(runs_dir)]
    print(f"\n$ python -m {' '.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", *words], check=False).returncode


def cut_down(module: str, arguments: Sequence[str]) -> list[str]:
    """What to add to a command so that it takes seconds: of an option given twice the last one counts."""
    match module:
        case "harness.search":
            from harness.space import load

            trials = str(len(load(arguments[arguments.index("--space") + 1]).arms))
            return ["--set", "epochs=2", "--set", "train_size=200", "--trials", trials]
        case "harness.confirm":
            return ["--top", "1", "--seeds", "2"]
        case "harness.distill":
            return ["--trials", "1", "--seeds", "2", "--epochs", "2"]
        case _:
            return ["--models", "1"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("analysis.paper.claims", "Measure the paper's three claims, and write RESULTS.md.", "")
    parser.add_argument("--only", action="append", default=[], metavar="STUDY", help="this study; repeatable")
    parser.add_argument("--full", action="store_true", help="the full forms, for a GPU")
    parser.add_argument("--write", action="store_true", help="run nothing, write down what there is")
    parser.add_argument("--rehearse", action="store_true", help="every command cut down to seconds, in runs/rehearsal")
    parser.add_argument("--runs-dir", type=Path, metavar="DIR", help="default: runs")
    options = parser.parse_args(arguments)
    runs_dir = options.runs_dir or Path("runs/rehearsal" if options.rehearse else "runs")
    try:
        studies = chosen(options.full, options.only)
    except ValueError as error:
        return cli.refuse(error)
    try:
        for study in [] if options.write else studies:
            for command in study.commands():
                code = run(command, runs_dir, options.rehearse)
                if code != cli.DONE:
                    return code
    except KeyboardInterrupt:
        return cli.INTERRUPTED
    out = runs_dir / "RESULTS.md" if options.rehearse else RESULTS
    write(STUDIES, CLAIMS, runs_dir, out)
    print(f"\nwritten down: {out}")
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
