"""Process of low priority that sends the events of a sweep to a tracking server.

    MLFLOW_TRACKING_URI=URI python -m harness.tracking.mlflow_view.writer_process runs/NAME/spool

Neither MLflow's import, which takes two seconds, nor a slow server holds up the driver. Each round sends what was
appended to the event log as one batch, and then moves the cursor. An unavailable server is tried again as long as the
driver lives. Standard input is a pipe held by the driver, which ends when the driver ends, for whatever reason; then
the rest is sent, within a time limit. `writer.log` beside the event log says what happened.
"""

import argparse
import dataclasses
import itertools
import os
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness.common.file_lock import file_lock
from harness.tracking.mlflow_view.mlflow_writer import MlflowWriter
from harness.tracking.spool.cursor import Cursor, lock_path
from harness.tracking.spool.event_log import EventLogError, read_events, read_sweep_id
from harness.tracking.spool.events import Event, SweepEnded, SweepStarted
from harness.tracking.spool.writer_log import log_line
from harness.tracking.tracking_uri import ServerUnavailable, redact_uri, resolve_uri

BATCH = 2000
"""Events of one round: a few hundred kB in memory."""
FIRST_WAIT, LAST_WAIT = 0.5, 10.0
"""Seconds between attempts to reach a server; each wait doubles the last."""


class EventSender:
    """Sender of one event log to one server, batch by batch.

    Args:
        folder: the folder of the event log.
        rebuild: send everything from the first event on, and create new runs for those that a person deleted.
    """

    def __init__(self, folder: Path, uri: str, rebuild: bool = False) -> None:
        self.folder, self.uri = folder, uri
        self.cursor = Cursor.load(folder, uri)
        self._rebuild = rebuild
        self._writer: MlflowWriter | None = None
        if rebuild:
            self._update_cursor(offset=0, skipped=0)

    def send(self) -> int:
        """Send one batch and move the cursor past it; returns its number of lines.

        Raises:
            ServerUnavailable: the cursor has not moved.
        """
        if not self._next_batch()[0]:
            return 0
        try:
            writer = self._connect()
            lines, offset = self._next_batch()
            writer.skipped = 0
            writer.send([event for event in lines if event is not None])
        except ServerUnavailable as error:
            if not self.cursor.unreachable:
                log_line(self.folder, f"{redact_uri(self.uri)} is unavailable: {error}")
            self._update_cursor(unreachable=str(error))
            self._writer = None  # the server may have lost what the writer knows of it
            raise
        if self.cursor.unreachable:
            log_line(self.folder, f"{redact_uri(self.uri)} is available again")
        self._update_cursor(
            offset=offset,
            skipped=self.cursor.skipped + writer.skipped,
            experiment=writer.study,
            experiment_id=writer.experiment_id,
            run_id=writer.run_id,
            unreachable="",
        )
        return len(lines)

    def close(self) -> None:
        """Mark what the driver left running as interrupted; call when all is sent and the driver has ended.

        Raises:
            ServerUnavailable: call again later.
        """
        states = [event for event, _ in read_events(self.folder) if isinstance(event, SweepStarted | SweepEnded)]
        if states and isinstance(states[-1], SweepStarted):
            self._connect().send([SweepEnded(state="interrupted", reason="the driver ended without recording an end")])

    def _next_batch(self) -> tuple[list[Event | None], int]:
        """Lines after the cursor, at most BATCH, and the offset after them."""
        lines = list(itertools.islice(read_events(self.folder, self.cursor.offset), BATCH))
        return [event for event, _ in lines], lines[-1][1] if lines else self.cursor.offset

    def _connect(self) -> MlflowWriter:
        """The writer; everything is sent again to a server that has lost the sweep."""
        if self._writer is None:
            self._writer = MlflowWriter(self.folder, self.uri, self._rebuild)
            if self._writer.run_id is None and self.cursor.offset > 0:
                log_line(self.folder, "the server has no run of this sweep: sending everything again")
                self._update_cursor(offset=0, skipped=0)
        return self._writer

    def _update_cursor(self, **changes: object) -> None:
        cursor = dataclasses.replace(self.cursor, **changes)  # type: ignore[arg-type]
        if cursor != self.cursor:
            cursor.save(self.folder, self.uri)
            self.cursor = cursor


class ParentProcess:
    """The process that holds the other end of the pipe `descriptor`; None stands for a process that has ended."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor

    @property
    def ended(self) -> bool:
        return self._descriptor is None

    def wait(self, seconds: float) -> None:
        """Sleep until the time is over or the process ends."""
        if self._descriptor is None:
            time.sleep(seconds)
        elif select.select([self._descriptor], [], [], seconds)[0] and not os.read(self._descriptor, 1024):
            self._descriptor = None


def send_until_done(sender: EventSender, driver: ParentProcess, interval: float, drain_seconds: float) -> bool:
    """Send until the driver has ended and the server has everything; returns whether it has.

    Args:
        interval: seconds between two batches while the driver lives; a full batch is followed at once.
        drain_seconds: once the driver has ended, seconds that the server may be unavailable.
    """
    wait, available = FIRST_WAIT, time.monotonic()
    driver.wait(0)
    while True:
        ended = driver.ended
        try:
            sent = sender.send()
            if ended and not sent:
                sender.close()
                return True
            driver.wait(0 if ended or sent == BATCH else interval)
            wait, available = FIRST_WAIT, time.monotonic()
        except ServerUnavailable:
            left = available + drain_seconds - time.monotonic() if ended else LAST_WAIT
            if left <= 0:
                return False
            driver.wait(min(wait, left))
            wait = min(2 * wait, LAST_WAIT)
            if not ended:
                available = time.monotonic()


def send_exclusively(
    folder: Path, uri: str, driver: ParentProcess, interval: float, drain_seconds: float, rebuild: bool = False
) -> str:
    """`send_until_done` as the only process that sends this event log to this server.

    Returns why the server does not have everything; empty if it has.
    """
    with file_lock(lock_path(folder, uri), drain_seconds) as locked:
        if not locked:
            return "another process is sending this sweep; try again when it has ended"
        sender = EventSender(folder, uri, rebuild)
        if send_until_done(sender, driver, interval, drain_seconds):
            return ""
        return f"{redact_uri(uri)} is unavailable: {sender.cursor.unreachable}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Send the events of a sweep to the server MLFLOW_TRACKING_URI.")
    parser.add_argument("folder", type=Path, help="folder of the event log, runs/NAME/spool")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between two batches (default 2)")
    parser.add_argument(
        "--drain-seconds", type=float, default=60.0, help="seconds for an unavailable server at the end"
    )
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    uri = resolve_uri(os.environ.get("MLFLOW_TRACKING_URI"), folder.absolute().parent.parent)
    try:
        read_sweep_id(folder)
    except EventLogError as error:
        print(error, file=sys.stderr)
        return 2
    os.nice(19)  # below Ray's workers, which run at 15
    reason = send_exclusively(folder, uri, ParentProcess(sys.stdin.fileno()), options.interval, options.drain_seconds)
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
