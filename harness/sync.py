"""Send the events of a sweep that its tracking server lacks.

    python -m harness.sync NAME [--runs-dir runs] [--tracking-uri URI] [--rebuild]

Running it twice changes nothing. --rebuild sends everything from the first event on, also what was skipped before, and
also to a server that lost the runs or never had them. Exit codes: 0 everything was sent (what the server did not take
is skipped and counted), 1 the server is unavailable, 2 the input is wrong.
"""

import argparse
import difflib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness import cli
from harness.common.errors import HarnessError
from harness.common.file_lock import file_lock
from harness.tracking.spool import event_log, writer_log
from harness.tracking.spool.cursor import Cursor, count_pending, lock_path
from harness.tracking.spool.event_log import EventLogError
from harness.tracking.tracking_uri import ServerUnavailable, check_server, redact_uri, resolve_uri
from harness.tuning.storage.sweep_folder import check_inside, check_links
from harness.tuning.storage.workspace import SweepAccess, local_runs_dir, open_workspace

RETRY_PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each retry when the server is unavailable."""
LOCK_TIMEOUT = 10.0
"""Seconds to wait for another process that is sending."""


class NotSent(HarnessError):
    """The server does not have everything."""

    exit_code = 1


def find_event_log(runs_dir: Path, name: str) -> Path:
    """Folder of the event log of the sweep `name`.

    Raises:
        EventLogError: there is none, with the nearest names; or it cannot be read.
        FolderError: the sweep's folder holds links to places outside.
    """
    names = sorted(path.parent.parent.name for path in runs_dir.glob(f"*/spool/{event_log.FILE}"))
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        remedy = f"did you mean {' or '.join(near)}?" if near else "it holds no sweeps; name another with --runs-dir"
        raise EventLogError(f"NAME: expected a sweep in {runs_dir}/, got '{name}'; {remedy}")
    check_inside(runs_dir, name, "NAME")
    check_links(runs_dir / name)
    event_log.read_sweep_id(runs_dir / name / "spool")
    return runs_dir / name / "spool"


def sync(folder: Path, uri: str, rebuild: bool = False) -> int:
    """Send the events that the server behind `uri` lacks; returns their number.

    Args:
        folder: of the event log.
        rebuild: send all events.

    Raises:
        NotSent: the server is unavailable, or another process is sending to it.
    """
    # MLflow takes seconds to import: only once the input is known to be good
    from harness.tracking.mlflow_view.writer_process import EventSender

    with file_lock(lock_path(folder, uri), LOCK_TIMEOUT) as locked:
        if not locked:
            raise NotSent("another process is sending this sweep; try again when it has ended")
        sender = EventSender(folder, uri, writer_log.line_logger(folder), rebuild)
        pending = count_pending(folder, uri)
        pauses = iter(RETRY_PAUSES)
        while True:
            try:
                while sender.send():
                    pauses = iter(RETRY_PAUSES)
                sender.close()
                return pending
            except ServerUnavailable as error:
                pause = next(pauses, None)
                if pause is None:
                    raise NotSent(f"{redact_uri(uri)} is unavailable: {error}") from error
            time.sleep(pause)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m harness.sync",
        description="Send the events of a sweep that its tracking server lacks.",
        epilog="example: python -m harness.sync label_lr --tracking-uri http://localhost:5000",
    )
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    cli.add_runs_dir(parser)
    parser.add_argument("--tracking-uri", help="default: SQLite in the runs folder")
    parser.add_argument("--rebuild", action="store_true", help="send everything, from the first event on")
    options = parser.parse_args(arguments)
    uri = resolve_uri(options.tracking_uri, local_runs_dir(options.runs_dir))
    try:
        with open_workspace(options.runs_dir, SweepAccess(options.name, writes=False)) as workspace:
            folder = find_event_log(workspace.local, options.name)
            check_server(uri)
            sent = sync(folder, uri, options.rebuild)
    except HarnessError as error:
        exit_code = cli.refuse(error)
        return NotSent.exit_code if isinstance(error, ServerUnavailable) else exit_code
    cursor = Cursor.load(folder, uri)
    print(f"{options.name}: {sent or 'no'} events sent to {cursor.tracking_uri}; run {cursor.run_id}")
    if cursor.skipped:
        print(
            f"the server did not take {cursor.skipped} values or files, which are listed in "
            f"{folder / writer_log.FILE}; --rebuild sends everything again",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
