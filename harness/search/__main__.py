"""The command line of `harness.search.search`."""

import sys
from collections.abc import Sequence

from harness import cli
from harness.search.plan import plan
from harness.search.run import search, sweep_accesses, warm_started
from harness.search.terminal import headline, show
from harness.space import load
from harness.tuning.storage.workspace import open_workspace

EXAMPLES = """\
examples:
  python -m harness.search --space label_lr.yaml
  python -m harness.search --space label_lr.yaml --trials 120             go on with it, up to 120 trials
  python -m harness.search --space label_lr.yaml --name wide --set width=256
  python -m harness.search --space finer.yaml --warm-start label_lr
  python -m harness.search --space label_lr.yaml --dry-run

exit codes: 0 done · 1 no trial completed · 2 bad input · 3 disk full · 130 interrupted; state kept"""


@cli.command("the state is kept, the same command goes on")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.search", "Search the settings of a space, track every run, say what won.", EXAMPLES)
    cli.add_space_arguments(parser)
    parser.add_argument("--name", help="the sweep's folder in the runs folder (default: the study's name)")
    parser.add_argument("--trials", type=cli.positive_int, metavar="N", help="trials of all arms together")
    parser.add_argument(
        "--time-budget",
        type=cli.positive_seconds,
        metavar="SECONDS",
        help="stop after this; the same command goes on",
    )
    parser.add_argument("--concurrency", type=cli.positive_int, metavar="N", help="trials at once (default: what fits)")
    parser.add_argument("--seed", type=cli.whole_number, metavar="N", help="of the suggestions and of the runs")
    parser.add_argument("--address", help="of a Ray cluster: auto, HOST:PORT (default: start one here)")
    parser.add_argument("--tracking-uri", metavar="URI", help="of MLflow (default: SQLite inside the runs folder)")
    cli.add_runs_dir(parser)
    parser.add_argument(
        "--warm-start",
        metavar="NAME[:K]",
        help="try the best K configurations of each arm (default: 3) of an earlier sweep first",
    )
    parser.add_argument("--retry-failed", action="store_true", help="run failed trials again, under their numbers")
    parser.add_argument(
        "--log-models", action="store_true", help="have MLflow hold the model of each arm's best trial, ready to load"
    )
    parser.add_argument(
        "--system-metrics", action="store_true", help="have MLflow show how busy this machine is, on the sweep's run"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be run, and stop")
    parser.add_argument("-v", "--verbose", action="store_true", help="show each trial's end, and Ray's own words")
    options = parser.parse_args(arguments)
    flags = {
        "search.trials": options.trials,
        "search.time_budget_seconds": options.time_budget,
        "search.concurrency": options.concurrency,
        "search.seed": options.seed,
        "seed": options.seed,
    }
    overrides = [*options.overrides, *(f"{key}={value}" for key, value in flags.items() if value is not None)]
    space = load(options.space, overrides)
    name = options.name or space.study
    print(headline(space, options.runs_dir / name), flush=True)
    if options.dry_run:
        with open_workspace(options.runs_dir, *sweep_accesses(name, options.warm_start, writes=False)) as workspace:
            print(plan(warm_started(space, options.warm_start, workspace.local, name)[0]))
        return cli.DONE
    summary = search(
        space,
        name=name,
        runs_dir=options.runs_dir,
        address=options.address,
        tracking_uri=options.tracking_uri,
        warm_start=options.warm_start,
        retry_failed=options.retry_failed,
        log_models=options.log_models,
        system_metrics=options.system_metrics,
        verbose=options.verbose,
    )
    show(summary, space, options)
    if summary.best is None:
        return cli.INTERRUPTED if summary.interrupted else cli.NOTHING_COMPLETED
    return cli.INTERRUPTED if summary.interrupted else cli.DONE


if __name__ == "__main__":
    sys.exit(main())
