"""Sends what a sweep's folder holds and the tracking server does not.

    python -m harness.sync NAME [--runs-dir runs] [--tracking-uri URI] [--rebuild]

Twice changes nothing. What the server had failed on, while it took all else, is tried again. --rebuild sends everything
from the first record on, also to a server that lost the runs or never had them. Exit codes: 0 the server has
everything, 1 it has not, 2 the input is wrong.
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
from harness.tracking.spool.cursor import Cursor, cursor_path, unsent
from harness.tracking.spool.event_log import EventLogError
from harness.tracking.tracking_uri import ServerUnavailable, TrackingError, check_server, redact_uri, resolve_uri
from harness.tuning.storage.sweep_folder import FolderError, check_inside, check_links
from harness.tuning.storage.workspace import SweepAccess, local_runs_dir, open_workspace

WAITS = (0, 1, 2, 4)  # seconds before each try of a server that is away
PATIENCE = 10.0  # seconds that another process's sending is waited for


class NotSent(HarnessError):
    """The server does not have everything; the message says why."""


def sweep_folder(runs_dir: Path, name: str) -> Path:
    """The spool of the sweep `name`; EventLogError with the nearest names where there is none."""
    names = sorted(path.parent.parent.name for path in runs_dir.glob(f"*/spool/{event_log.FILE}"))
    folder = runs_dir / name / "spool"
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        found = f"did you mean {' or '.join(near)}?" if near else "it holds no sweeps; name another with --runs-dir"
        raise EventLogError(f"NAME: expected a sweep in {runs_dir}/, got '{name}'; {found}")
    try:
        check_inside(runs_dir, name, "NAME")
        check_links(folder.parent)
    except FolderError as error:
        raise EventLogError(str(error)) from error
    event_log.read_sweep_id(folder)
    return folder


def sync(folder: Path, uri: str, rebuild: bool = False) -> int:
    """Feeds the server behind `uri` all of the spool in `folder` that it lacks; how many records that were.

    NotSent where the server is away, or another process is still feeding it.
    """
    # mlflow takes seconds to import: not before the input is known to be good
    from harness.tracking.mlflow_view.writer_process import EventSender

    with file_lock(cursor_path(folder, uri).with_suffix(".lock"), PATIENCE) as alone:
        if not alone:
            raise NotSent("another process is sending this sweep; try again when it has ended")
        if rebuild:
            cursor_path(folder, uri).unlink(missing_ok=True)
        writer = EventSender(folder, uri, writer_log.line_logger(folder), revive=rebuild, again=True)
        missing = unsent(folder, uri)
        waits = iter(WAITS)
        while (pause := next(waits, None)) is not None:
            time.sleep(pause)
            try:
                while writer.send():
                    waits = iter(WAITS[1:])  # it goes forward
                writer.close()
            except ServerUnavailable as error:
                away = error
            else:
                return missing
    raise NotSent(f"{redact_uri(uri)} is away: {away}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m harness.sync",
        description="Sends what a sweep's folder holds and the tracking server does not.",
        epilog="example: python -m harness.sync label_lr --tracking-uri http://localhost:5000",
    )
    parser.add_argument("name", metavar="NAME", help="the sweep, a folder in --runs-dir")
    cli.add_runs_dir(parser)
    parser.add_argument("--tracking-uri", help="default: SQLite in the runs folder")
    parser.add_argument("--rebuild", action="store_true", help="send everything, from the first record on")
    options = parser.parse_args(arguments)
    uri = resolve_uri(options.tracking_uri, local_runs_dir(options.runs_dir))
    try:
        with open_workspace(options.runs_dir, SweepAccess(options.name, writes=False)) as workspace:
            folder = sweep_folder(workspace.local, options.name)
            check_server(uri)
            sent = sync(folder, uri, options.rebuild)
    except (ServerUnavailable, NotSent) as error:
        print(error, file=sys.stderr)
        return 1
    except (EventLogError, TrackingError, FolderError) as error:
        print(error, file=sys.stderr)
        return 2
    cursor = Cursor.load(folder, uri)
    print(f"{options.name}: {sent or 'no'} records sent to {cursor.tracking_uri}; run {cursor.run_id}")
    if cursor.refused:
        print(
            f"the server refused {cursor.refused} values or files, named in {folder / writer_log.FILE}", file=sys.stderr
        )
    if cursor.aside:
        print(
            f"the server fails on {cursor.aside} values or files, named in {folder / writer_log.FILE}; they are kept: "
            "look at its log, then run this again",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
