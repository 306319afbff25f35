"""Send the events of a sweep that its tracking server lacks.

    python -m harness.sync NAME [--runs-dir runs] [--tracking-uri URI] [--rebuild]

Running it twice changes nothing. --rebuild sends everything from the first event on, also what was skipped before, and
also to a server that lost the runs or never had them. Exit codes: 0 everything was sent (what the server did not take
is skipped and counted), 1 the server is unavailable, 2 the input is wrong.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness import cli
from harness.common.errors import HarnessError
from harness.common.file_lock import file_lock
from harness.tracking.spool import writer_log
from harness.tracking.spool.cursor import Cursor, count_pending, lock_path
from harness.tracking.spool.event_log import read_sweep_id
from harness.tracking.tracking_uri import ServerUnavailable, check_server, resolve_uri
from harness.tuning.storage.sweep_folder import find_sweep
from harness.tuning.storage.workspace import SweepAccess, local_runs_dir, open_workspace

TIMEOUT = 60.0
"""Seconds to wait for a server that went away, or for the sweep's own writer process while it sends nothing."""
PROGRESS_SECONDS = 5.0
EXAMPLES = "example: python -m harness.sync label_lr --tracking-uri http://localhost:5000"


class NotSent(HarnessError):
    """The server does not have everything."""

    exit_code = 1


@cli.command("what was not sent yet is sent by the same command")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("harness.sync", "Send MLflow the events of a sweep that it does not have yet.", EXAMPLES)
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    cli.add_runs_dir(parser)
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="MLflow's server or database (default: SQLite in the runs folder)"
    )
    parser.add_argument("--rebuild", action="store_true", help="send all events, from the first on")
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

        _wait_for_writer(folder, uri)
        pending = count_pending(folder, uri, options.rebuild)
        if reason := send_exclusively(folder, uri, ParentProcess(), 0, TIMEOUT, options.rebuild):
            raise NotSent(reason)
    cursor = Cursor.load(folder, uri)
    sent = f"{pending or 'no'} event{'' if pending == 1 else 's'}"
    print(f"{options.name}: {sent} sent to {cursor.tracking_uri}; run {cursor.run_id}")
    if cursor.skipped:
        print(
            f"the server did not take {cursor.skipped} values or files, which are listed in "
            f"{folder / writer_log.FILE}; --rebuild sends everything again",
            file=sys.stderr,
        )
    return 0


def _wait_for_writer(folder: Path, uri: str) -> None:
    """Wait until no other process sends this sweep, as its own writer does for a while; show what is left to send."""
    pending, since, shown = count_pending(folder, uri), time.monotonic(), -PROGRESS_SECONDS
    while time.monotonic() < since + TIMEOUT:
        with file_lock(lock_path(folder, uri)) as is_free:
            if is_free:
                return
        left = count_pending(folder, uri)
        if left != pending:
            pending, since = left, time.monotonic()
        if time.monotonic() > shown + PROGRESS_SECONDS:
            shown = time.monotonic()
            print(f"another process is sending this sweep, {left} events are left: waiting for it", file=sys.stderr)
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
