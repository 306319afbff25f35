"""The driver's side of tracking: append to the event log, start the writer process, wait for it at the end.

Nothing here waits for a server or imports MLflow. The writer process lives a little longer than the driver: when its
standard input is closed, or the driver dies, it sends the rest and ends.
"""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

from harness.results.tracking_status import TrackingStatus
from harness.tracking.child_process import child_environment
from harness.tracking.mlflow_view.system_metrics import SystemMonitor
from harness.tracking.spool.cursor import Cursor, count_pending
from harness.tracking.spool.event_log import EventLog
from harness.tracking.spool.events import Event

RESTART_INTERVAL = 30.0
"""Seconds, at least, between two starts of the writer process."""
ERRORS = "writer.err"
"""File beside the event log: standard error of the writer process."""
UNREACHABLE_TIMEOUT = 3.0
"""Seconds that `finish` waits for a server that was unreachable before."""

# Writer processes that outlive `finish`; without a reference, subprocess would warn about them.
_detached: list[subprocess.Popen[bytes]] = []


class Tracker:
    """Event log of a sweep, and the writer process that sends it to the server behind `uri`.

    Args:
        folder: of the event log.
        uri: as `resolve_uri` gives it.
        interval: seconds between two batches.
        drain_seconds: seconds that the writer process may wait for an unavailable server once the driver has ended.
        system_metrics: record the load of this machine on the sweep's run.
    """

    def __init__(
        self, folder: Path, uri: str, interval: float = 2.0, drain_seconds: float = 60.0, system_metrics: bool = False
    ) -> None:
        self.event_log = EventLog(folder)
        self.uri = uri
        self._interval, self._drain_seconds = interval, drain_seconds
        self._monitor = SystemMonitor(self.event_log) if system_metrics else None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = -RESTART_INTERVAL

    def append(self, event: Event) -> None:
        """Append an event, in less than a millisecond; restart a writer process that died."""
        self.event_log.append(event)
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def start(self) -> None:
        """Start the writer process unless it runs. It takes seconds of a core: best after the first result."""
        if self._monitor is not None:
            self._monitor.start()
        running = self._process is not None and self._process.poll() is None
        if running or time.monotonic() < self._started + RESTART_INTERVAL:
            return
        self._close_pipe()
        self._started = time.monotonic()
        with (self.event_log.folder / ERRORS).open("ab") as errors:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "harness.tracking.mlflow_view.writer_process", str(self.event_log.folder)),
                    *("--interval", str(self._interval), "--drain-seconds", str(self._drain_seconds)),
                ],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                env=child_environment(MLFLOW_TRACKING_URI=self.uri),  # `ps` would show a password in an argument
                start_new_session=True,  # an interrupt at the terminal is for the driver alone
            )

    def finish(self, timeout: float = 30.0) -> TrackingStatus:
        """Close the event log and wait up to `timeout` seconds until the server has everything.

        Returns after a few seconds if the server is unreachable; the writer process then continues for
        `drain_seconds`, and `python -m harness.sync` sends what is left after that.
        """
        if self._monitor is not None:
            self._monitor.stop()
        self.event_log.close()
        self._started = -RESTART_INTERVAL
        self.start()
        self._close_pipe()
        assert self._process is not None
        begin = time.monotonic()
        while self._process.poll() is None and time.monotonic() < begin + timeout:
            if time.monotonic() > begin + UNREACHABLE_TIMEOUT and self._cursor().unreachable:
                break
            time.sleep(0.05)
        if self._process.poll() is None:
            _detached.append(self._process)
        return self.status()

    def status(self) -> TrackingStatus:
        """Tracking status at this moment."""
        known = dataclasses.asdict(self._cursor())
        del known["offset"]
        pending = count_pending(self.event_log.folder, self.uri)
        if pending and not known["unreachable"] and self._process is not None and self._process.poll() is not None:
            known["unreachable"] = f"the writer process failed, see {self.event_log.folder / ERRORS}"
        return TrackingStatus(**known, pending=pending)

    def _cursor(self) -> Cursor:
        return Cursor.load(self.event_log.folder, self.uri)

    def _close_pipe(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
