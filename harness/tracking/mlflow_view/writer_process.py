"""The writer: one process of low priority that feeds a tracking server from a spool.

    python -m harness.tracking.mlflow_view.writer_process runs/NAME/spool --tracking-uri URI [--follow]

Neither mlflow's two seconds of import nor a slow server touches the driver. Each round sends what the spool
has gained as one batch, and then moves the cursor. A server that is away is tried again for as long as the
driver lives: with --follow, standard input is a pipe that the driver holds, and its end is the driver's end,
however that came. Then the rest is sent, as far as the time allowed reaches. What happens stands in
`writer.log` beside the spool.
"""

import argparse
import dataclasses
import itertools
import math
import os
import select
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness.common.file_lock import file_lock
from harness.tracking.mlflow_view.mlflow_writer import MlflowWriter, Unsure
from harness.tracking.spool import event_log
from harness.tracking.spool.cursor import Cursor, cursor_path
from harness.tracking.spool.event_log import (
    Event,
    EventLogError,
    SweepEnded,
    SweepPaused,
    SweepStarted,
    now_ms,
)
from harness.tracking.spool.writer_log import Say, line_logger
from harness.tracking.tracking_uri import ServerUnavailable, artifact_root, redact_uri, resolve_uri, sqlite_path

BATCH = 2000  # records of one round: a few hundred kB in memory
FIRST_WAIT, LAST_WAIT = 0.5, 10.0  # seconds between tries of a server that is away; each doubles the last


class EventSender:
    """Feeds one server from one spool, batch by batch. `say` takes a line for the log.

    `revive=True` makes new runs in place of those that a person deleted; `again=True` begins with the first thing that
    was set aside.
    """

    def __init__(self, folder: Path, uri: str, say: Say, revive: bool = False, again: bool = False) -> None:
        self.folder, self.uri = folder, uri
        self.cursor = Cursor.load(folder, uri)
        self._say = say
        self._revive = revive
        self._mirror: MlflowWriter | None = None
        self._failures: Counter[str] = Counter()
        self._again = again and self.cursor.aside > 0
        if self._again:
            self._save(offset=self.cursor.aside_from, aside=0)

    def send(self) -> int:
        """Sends one batch and moves the cursor behind it; how many lines it had. ServerUnavailable if the server is."""
        if not self._next()[0]:
            return 0
        try:
            mirror = self._connected()
            lines, offset = self._next()
            if bad := event_log.count_damaged_lines(self.folder, self.cursor.offset, offset):
                self._say(f"damaged lines in {event_log.FILE}, stepped over: {bad}")
            mirror.send([record for record in lines if record is not None])
        except ServerUnavailable as error:
            if not self.cursor.away:
                self._say(f"{redact_uri(self.uri)} {'fails on' if isinstance(error, Unsure) else 'is away:'} {error}")
            self._save(away=str(error))
            self._mirror = None  # what it knew of the server may no longer hold when that is back
            raise
        if self.cursor.away:
            self._say(f"{redact_uri(self.uri)} is back")
        refused, mirror.refused = mirror.refused, 0
        aside, mirror.aside = mirror.aside, 0
        self._save(
            offset=offset,
            refused=self.cursor.refused + refused,
            aside=self.cursor.aside + aside,
            aside_from=self.cursor.offset if aside and not self.cursor.aside else self.cursor.aside_from,
            experiment=mirror.study,
            experiment_id=mirror.experiment_id,
            run_id=mirror.run_id,
            away="",
        )
        return len(lines)

    def close(self) -> None:
        """All is sent and the driver is gone: nothing it left open stays RUNNING."""
        last = None
        for record, _ in event_log.read_events(self.folder):
            if isinstance(record, SweepStarted | SweepPaused | SweepEnded):
                last = record
        if isinstance(last, SweepStarted):
            self._connected().interrupt(now_ms())

    def _next(self) -> tuple[list[Event | None], int]:
        """The lines behind the cursor, a batch at most, and the offset behind them."""
        lines = list(itertools.islice(event_log.read_events(self.folder, self.cursor.offset), BATCH))
        return [record for record, _ in lines], lines[-1][1] if lines else self.cursor.offset

    def _connected(self) -> MlflowWriter:
        """The mirror; a server that lost the sweep since it was last fed gets everything again."""
        if self._mirror is None:
            database = sqlite_path(self.uri)
            if database is not None:
                database.parent.mkdir(parents=True, exist_ok=True)
            home = self.folder.absolute().parent
            self._mirror = MlflowWriter(
                uri=self.uri,
                sweep=event_log.read_sweep_id(self.folder),
                study=study_of(self.folder),
                home=home,
                artifacts=artifact_root(self.uri, home.parent),
                say=self._say,
                revive=self._revive,
                failures=self._failures,
                again=self._again,
            )
            if self._mirror.run_id is None and self.cursor.offset > 0:
                self._say("the server has no run of this sweep: sending everything again")
                self._save(offset=0, refused=0, aside=0)
        return self._mirror

    def _save(self, **changes: object) -> None:
        cursor = dataclasses.replace(self.cursor, **changes)  # type: ignore[arg-type]
        if cursor != self.cursor:
            cursor.save(self.folder, self.uri)
            self.cursor = cursor


class Driver:
    """The process at the other end of standard input, which ends when that process does."""

    def __init__(self, descriptor: int | None) -> None:
        """None: nobody is there, as if ended."""
        self._descriptor = descriptor

    @property
    def ended(self) -> bool:
        return self._descriptor is None

    def wait(self, seconds: float) -> None:
        """Sleeps, no longer than the driver lives."""
        if self._descriptor is None:
            time.sleep(seconds)
        elif select.select([self._descriptor], [], [], seconds)[0] and not os.read(self._descriptor, 1024):
            self._descriptor = None


def run(writer: EventSender, driver: Driver, every: float, drain: float) -> bool:
    """Sends until the driver has ended and the server has everything; whether it has.

    A batch is sent at most once in `every` seconds while the driver lives, unless it is full; after the
    driver's end there are `drain` seconds left.
    """
    deadline, wait = math.inf, FIRST_WAIT
    driver.wait(0)
    while time.monotonic() < deadline:
        if driver.ended:
            deadline = min(deadline, time.monotonic() + drain)
        ended = driver.ended
        try:
            sent = writer.send()
            if ended and not sent:
                writer.close()
                return True
        except ServerUnavailable:
            driver.wait(min(wait, max(0.0, deadline - time.monotonic())))
            wait = min(2 * wait, LAST_WAIT)
        else:
            wait = FIRST_WAIT
            driver.wait(0 if ended or sent == BATCH else every)
    return False


def study_of(folder: Path) -> str:
    """The study's name: the tag `study` of the sweep's first record, else the sweep's name."""
    for record, _ in itertools.islice(event_log.read_events(folder), 100):
        if isinstance(record, SweepStarted):
            return record.tags.get("study", record.name)
    return folder.absolute().parent.name


def feed(folder: Path, uri: str, driver: Driver, say: Say, every: float, drain: float, revive: bool = False) -> bool:
    """`run`, as the only one to feed this server from this spool; another one is waited for."""
    lock = cursor_path(folder, uri).with_suffix(".lock")
    deadline = time.monotonic() + drain
    while True:
        with file_lock(lock) as mine:
            if mine:
                return run(EventSender(folder, uri, say, revive), driver, every, drain)
        if driver.ended and time.monotonic() > deadline:
            say(f"another process is still feeding {redact_uri(uri)}")
            return False
        driver.wait(FIRST_WAIT)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m harness.tracking.mlflow_view.writer_process",
        description="Feeds a tracking server from a sweep's spool.",
        epilog="example: python -m harness.tracking.mlflow_view.writer_process runs/label_lr/spool",
    )
    parser.add_argument("folder", type=Path, help="the spool, runs/NAME/spool")
    parser.add_argument("--tracking-uri", help="default: MLFLOW_TRACKING_URI, else SQLite in the runs folder")
    parser.add_argument("--follow", action="store_true", help="go on until standard input ends")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two batches (default 2)")
    parser.add_argument("--drain", type=float, default=60.0, help="seconds left after standard input ended")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    uri = resolve_uri(options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), folder.absolute().parent.parent)
    try:
        event_log.read_sweep_id(folder)
    except EventLogError as error:
        print(error, file=sys.stderr)
        return 2
    os.nice(19)  # below Ray's workers, which run at 15
    driver = Driver(sys.stdin.fileno() if options.follow else None)
    return 0 if feed(folder, uri, driver, line_logger(folder), options.every, options.drain) else 1


if __name__ == "__main__":
    sys.exit(main())
