"""The command line of `harness.search.search`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import cli
from harness.search.plan import Devices, plan
from harness.search.run import Refused, search
from harness.search.terminal import headline, show
from harness.search.warm_start import NoWarmStart, named, warm_start
from harness.space import SpaceError, load
from harness.tracking.spool.event_log import EventLogError
from harness.tracking.tracking_uri import TrackingError
from harness.tuning.cluster.address import ClusterError
from harness.tuning.storage.sweep_folder import FolderError
from harness.tuning.storage.workspace import SweepAccess, open_workspace

EXAMPLES = """\
examples:
  python -m harness.search --space label_lr.yaml
  python -m harness.search --space label_lr.yaml --trials 120             go on with it, up to 120 trials
  python -m harness.search --space label_lr.yaml --name wide --set width=256
  python -m harness.search --space finer.yaml --warm-start label_lr
  python -m harness.search --space label_lr.yaml --dry-run
  python -m harness.search --space label_lr.yaml --dry-run --cluster 8xH100

exit codes: 0 done · 1 no trial completed · 2 bad input · 3 disk full · 130 interrupted; state kept"""


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
    parser.add_argument("--address", help="of a Ray cluster: auto, ray://HOST:PORT (default: start one here)")
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
    parser.add_argument(
        "--cluster", type=_devices, metavar="N×GPU", help="with --dry-run: how long on other machines, as in 8xH100"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show each trial's end, and Ray's own words")
    options = parser.parse_args(arguments)
    if options.cluster is not None and not options.dry_run:
        parser.error("--cluster goes with --dry-run; to run on a cluster, say its --address")
    flags = {
        "search.trials": options.trials,
        "search.time_budget_seconds": options.time_budget,
        "search.concurrency": options.concurrency,
        "search.seed": options.seed,
        "seed": options.seed,
    }
    overrides = [*options.overrides, *(f"{key}={value}" for key, value in flags.items() if value is not None)]
    try:
        space = load(options.space, overrides)
        name = options.name or space.study
        print(headline(space, options.runs_dir / name), flush=True)
        with open_workspace(options.runs_dir, *_needs(options, name)) as workspace:
            started = None
            if options.warm_start is not None:
                started = warm_start(space, options.warm_start, workspace.local, workspace.local / name)
                print("\n".join([started.line, *(f"  {line}" for line in started.left_out)]), flush=True)
                space = started.space
            if options.dry_run:
                print(plan(space, options.cluster))
                return cli.DONE
            outcome = search(
                space,
                name=name,
                runs_dir=workspace,
                address=options.address,
                tracking_uri=options.tracking_uri,
                warm_start=started,
                retry_failed=options.retry_failed,
                log_models=options.log_models,
                system_metrics=options.system_metrics,
                verbose=options.verbose,
            )
        show(outcome, space, options)
    except (SpaceError, Refused, NoWarmStart, TrackingError, ClusterError, FolderError, EventLogError) as error:
        return cli.refuse(error)
    except KeyboardInterrupt:
        print("\ninterrupted: the state is kept, the same command goes on", file=sys.stderr)
        return cli.INTERRUPTED
    if outcome.summary["best"] is None:
        return cli.INTERRUPTED if outcome.interrupted else cli.NOTHING_COMPLETED
    return cli.INTERRUPTED if outcome.interrupted else cli.DONE


def _needs(options: argparse.Namespace, name: str) -> list[SweepAccess]:
    """The sweeps that are brought from a store: the one to run, and the one that it starts from."""
    needs = [SweepAccess(name, writes=not options.dry_run, exists=False, argument="--name")]
    earlier = named(options.warm_start) if options.warm_start is not None else name
    if earlier != name and Path(earlier).name == earlier:
        needs.append(SweepAccess(earlier, writes=False, exists=False, argument="--warm-start"))
    return needs


def _devices(text: str) -> Devices:
    try:
        return Devices.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
