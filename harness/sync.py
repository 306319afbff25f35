"""Send the events of a sweep that its tracking server lacks.

    python -m harness.sync NAME [--runs-dir runs] [--tracking-uri URI] [--rebuild]

Running it twice changes nothing. --rebuild sends everything from the first event on, also what was skipped before, and
also to a server that lost the runs or never had them. Exit codes: 0 everything was sent (what the server did not take
is skipped and counted), 1 the server is unavailable, 2 the input is wrong.
"""

import sys
from collections.abc import Sequence

from harness import cli
from harness.common.errors import HarnessError
from harness.tracking.spool import writer_log
from harness.tracking.spool.cursor import Cursor, count_pending
from harness.tracking.spool.event_log import read_sweep_id
from harness.tracking.tracking_uri import ServerUnavailable, check_server, resolve_uri
from harness.tuning.storage.sweep_folder import find_sweep
from harness.tuning.storage.workspace import SweepAccess, local_runs_dir, open_workspace

TIMEOUT = 60.0
"""Seconds to wait for a server that went away, or for the sweep's own writer process, which may live as long."""
EXAMPLES = "example: python -m harness.sync label_lr --tracking-uri http://localhost:5000"


class NotSent(HarnessError):
    """The server does not have everything."""

    exit_code = 1


@cli.command("what was not sent yet is sent by the same command")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.sync", "Send the events of a sweep that its tracking server lacks.", EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    cli.add_runs_dir(parser)
    parser.add_argument("--tracking-uri", help="default: SQLite in the runs folder")
    parser.add_argument("--rebuild", action="store_true", help="send everything, from the first event on")
    options = parser.parse_args(arguments)
    uri = resolve_uri(options.tracking_uri, local_runs_dir(options.runs_dir))
    with open_workspace(options.runs_dir, SweepAccess(options.name, writes=False)) as workspace:
        folder = find_sweep(workspace.local, options.name) / "spool"
        read_sweep_id(folder)
        try:
            check_server(uri)
        except ServerUnavailable as error:
            raise NotSent(str(error)) from error
        # MLflow takes seconds to import: only once the input is known to be good
        from harness.tracking.mlflow_view.writer_process import ParentProcess, send_exclusively

        pending = count_pending(folder, uri, options.rebuild)
        if reason := send_exclusively(folder, uri, ParentProcess(), 0, TIMEOUT, options.rebuild):
            raise NotSent(reason)
    cursor = Cursor.load(folder, uri)
    print(f"{options.name}: {pending or 'no'} events sent to {cursor.tracking_uri}; run {cursor.run_id}")
    if cursor.skipped:
        print(
            f"the server did not take {cursor.skipped} values or files, which are listed in "
            f"{folder / writer_log.FILE}; --rebuild sends everything again",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
