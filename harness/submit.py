"""Run a sweep as a job of a Ray cluster: `harness.search` with its driver there and its log shown here.

The current folder is sent, without what `.gitignore` names; a user's own space files and modules must be in it. Ctrl-C
stops showing the log; the sweep continues. The same command continues a sweep that has stopped.
"""

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from harness import cli
from harness.common.redaction import redact
from harness.common.urls import Url
from harness.space import load
from harness.space.yaml_file.load import find_file
from harness.tuning.cluster.address import ClusterError

FORWARDED = ("MLFLOW_TRACKING_URI",)
"""Environment variables that the job inherits."""

EXAMPLES = """\
examples:
  python -m harness.submit --space label_lr.yaml --address http://127.0.0.1:8265 --runs-dir /shared/runs
  python -m harness.submit --space label_lr.yaml --address http://127.0.0.1:8265 --runs-dir /shared/runs \\
      -- --trials 120 --retry-failed                 what follows -- goes to harness.search

exit codes: those of harness.search; 2 bad input · 130 interrupted here, the sweep runs on"""


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.submit", "Run a sweep as a job of a Ray cluster, and show its log.", EXAMPLES)
    cli.add_space_arguments(parser)
    parser.add_argument("--name", help="the sweep's folder in the runs folder (default: the study's name)")
    parser.add_argument(
        "--address",
        default=os.environ.get("RAY_API_SERVER_ADDRESS"),
        help="address of the cluster's dashboard, http://HOST:8265 (default: RAY_API_SERVER_ADDRESS)",
    )
    parser.add_argument(
        "--runs-dir",
        required=True,
        type=_shared_runs_dir,
        metavar="DIR",
        help="a folder that every node of the cluster sees, or s3://BUCKET/PREFIX",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME[=VALUE]",
        help="an environment variable of the job; repeatable",
    )
    parser.add_argument("--no-wait", action="store_true", help="do not show the log")
    parser.add_argument("search", nargs="*", metavar="-- OPTION", help="options of harness.search")
    options = parser.parse_args(arguments)
    if options.address is None:
        raise ClusterError("--address: expected the dashboard of a Ray cluster, http://HOST:8265, got none; give one")
    _check_secrets(options.search)
    space = load(options.space, options.overrides)
    command = shlex.join(["python", "-m", "harness.search", *_search_arguments(options)])
    from harness.tuning.cluster.jobs import JobClient  # Ray takes seconds to import

    jobs = JobClient(options.address)
    environment = {key: os.environ[key] for key in FORWARDED if key in os.environ} | dict(options.env)
    job = f"{options.name or space.study}-{time.strftime('%Y%m%d-%H%M%S')}"
    jobs.submit(command, Path.cwd(), environment, job)
    print(f"{job}: {command}", flush=True)
    if options.no_wait:
        return cli.DONE
    try:
        end = jobs.print_log(job)
    except KeyboardInterrupt:
        print("\nno longer showing the log; the sweep runs on", file=sys.stderr)
        print(f"stop it: ray job stop --address {redact(options.address)} {job}", file=sys.stderr)
        return cli.INTERRUPTED
    if end.driver_exit_code is None and end.status != "SUCCEEDED":
        print(f"{job}: {end.status.lower()}: {end.message}; submit it again to go on", file=sys.stderr)
        return cli.NOTHING_COMPLETED
    return end.driver_exit_code or cli.DONE


def _search_arguments(options: argparse.Namespace) -> list[str]:
    """The arguments of the search on the cluster, where the current folder is the working folder."""
    file = find_file(options.space)
    space = options.space
    if file.resolve().is_relative_to(Path.cwd()):
        space = file.resolve().relative_to(Path.cwd()).as_posix()
    elif Path(options.space).name != options.space:  # a bare name is found beside the package there
        raise ClusterError(
            f"--space: expected a file in the current folder, which is sent to the cluster, got {file}; copy it here"
        )
    arguments = ["--space", space, "--address", "auto", "--runs-dir", str(options.runs_dir)]
    for change in options.overrides:
        arguments += ["--set", change]
    if options.name is not None:
        arguments += ["--name", options.name]
    return arguments + list(options.search)


def _check_secrets(arguments: Sequence[str]) -> None:
    """Refuse passwords: a job's command is shown on the cluster's dashboard and by `ps`."""
    for argument in arguments:
        if redact(argument) != argument:
            raise ClusterError(
                f"-- {redact(argument)}: expected an address without user and password, got one with them, which the "
                "cluster would show to all; leave them out, set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
                "here (PGUSER and PGPASSWORD for PostgreSQL), and pass them on with --env NAME"
            )


def _shared_runs_dir(text: str) -> PurePosixPath | Url:
    location = cli.runs_dir(text)
    if isinstance(location, Url):
        return location
    path = PurePosixPath(text)
    if not path.is_absolute():
        raise argparse.ArgumentTypeError(f"expected an absolute path, the same on every node, got '{text}'")
    return path


def _variable(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise argparse.ArgumentTypeError(f"expected NAME or NAME=VALUE, got '{text}'")
    if not given and name not in os.environ:
        raise argparse.ArgumentTypeError(f"expected a variable that is set here, got '{name}'; give NAME=VALUE")
    return name, value if given else os.environ[name]


if __name__ == "__main__":
    sys.exit(main())
