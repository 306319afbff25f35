"""The command line of `harness.search.search`."""

import sys
from collections.abc import Sequence

from harness import cli
from harness.results.sweep_data import example_configs, read_data
from harness.search.run import apply_warm_start, search, sweep_accesses
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

FLAGS = {
    "--retry-failed": "run failed trials again, under their numbers",
    "--log-models": "have MLflow hold the model of each arm's best trial, ready to load",
    "--system-metrics": "have MLflow show how busy this machine is, on the sweep's run",
    "--dry-run": "say what would be run, and stop",
}


@cli.command("the state is kept, the same command goes on")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser(
        "harness.search", "Search the settings of a space, track every run, and compare the arms.", EXAMPLES
    )
    cli.add_space_arguments(parser)
    parser.add_argument("--name", help="the sweep's folder in the runs folder (default: the study's name)")
    cli.add_count(parser, "--trials", "trials of all arms together")
    parser.add_argument(
        "--time-budget",
        type=cli.positive_number("seconds"),
        metavar="SECONDS",
        help="stop after so many seconds; the same command goes on",
    )
    parser.add_argument("--seed", type=cli.whole_number, metavar="N", help="seed of the suggestions and of the runs")
    cli.add_run_arguments(parser, concurrency="what fits", tracking="SQLite inside the runs folder")
    parser.add_argument("--warm-start", metavar="NAME[:K]", help="try the best K (3) of an earlier sweep first")
    for flag, words in FLAGS.items():
        parser.add_argument(flag, action="store_true", help=words)
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
        from harness.search.plan import describe_plan  # torch and Optuna take seconds to import

        with open_workspace(options.runs_dir, *sweep_accesses(name, options.warm_start, writes=False)) as workspace:
            print(read_data(example_configs(space)).text)
            print(describe_plan(apply_warm_start(space, options.warm_start, workspace.local, name)[0]))
        return cli.DONE
    summary = search(
        space,
        name=name,
        warm_start=options.warm_start,
        retry_failed=options.retry_failed,
        log_models=options.log_models,
        system_metrics=options.system_metrics,
        **cli.run_options(options),
    )
    show(summary, space, options)
    if summary.interrupted:
        return cli.INTERRUPTED
    return cli.NOTHING_COMPLETED if summary.best is None else cli.DONE


if __name__ == "__main__":
    sys.exit(main())
