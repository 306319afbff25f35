"""The command line of `harness.confirm.confirm`."""

import argparse
import sys
from collections.abc import Sequence

from harness import cli
from harness.confirm.run import DEFAULT_MARGIN, confirm
from harness.tuning.storage.sweep_folder import find_sweep
from harness.tuning.storage.workspace import SweepAccess, open_workspace

EXAMPLES = """\
examples:
  python -m harness.confirm label_lr
  python -m harness.confirm label_lr --seeds 34             go on with it, up to 34 seeds
  python -m harness.confirm label_lr --sequential --budget 200
                                                            as many seeds as it takes, up to 200 runs

exit codes: 0 done · 1 nothing could be confirmed · 2 bad input · 3 disk full · 130 interrupted; state kept"""


@cli.command("the finished runs are kept, the same command goes on")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser(
        "harness.confirm",
        "Train the best of a sweep again on fresh seeds, and compare them on the test part.",
        EXAMPLES,
    )
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    top = "configurations of each arm; with several objectives those of its Pareto front that are best in the first"
    cli.add_count(parser, "--top", top, default=3, metavar="K")
    cli.add_count(parser, "--seeds", "fresh seeds of each (default: 10; with --sequential at most 50)")
    parser.add_argument(
        "--sequential", action="store_true", help="add seeds until the interval excludes zero, at the same error rate"
    )
    cli.add_count(parser, "--budget", "runs in all, earlier ones included", metavar="RUNS")
    margin = f"the smallest difference of interest, in points of accuracy (default: {DEFAULT_MARGIN})"
    parser.add_argument(
        "--margin", type=cli.positive_number("points", 100), default=DEFAULT_MARGIN, metavar="POINTS", help=margin
    )
    parser.add_argument("--retry-failed", action="store_true", help="repeat the runs that diverged")
    cli.add_run_arguments(parser)
    options = parser.parse_args(arguments)
    size = {key: getattr(options, key) for key in ("top", "seeds", "sequential", "budget")}
    with open_workspace(options.runs_dir, SweepAccess(options.name)) as workspace:
        find_sweep(workspace.local, options.name)
        print(_headline(options), flush=True)
        where = {**cli.run_options(options), "runs_dir": workspace}
        where |= {"concurrency": options.concurrency, "retry_failed": options.retry_failed}
        outcome = confirm(options.name, **size, margin=options.margin, **where)
    from harness.confirm.terminal import show

    show(outcome, options)
    measured = any(arm.best and arm.best.n for arm in outcome.arms.values() if arm.role == "arm")
    return cli.DONE if measured else cli.NOTHING_COMPLETED


def _headline(options: argparse.Namespace) -> str:
    seeds = "as many seeds as it takes" if options.sequential else f"{options.seeds or 10} seeds each"
    path = options.runs_dir / options.name / "confirm.json"
    return f"{options.name}: the best {options.top} of each arm and the best of each baseline, {seeds} → {path}"


if __name__ == "__main__":
    sys.exit(main())
