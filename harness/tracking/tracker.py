"""The driver's handle on tracking: append to the spool, start the writer, wait for it at the end.

Nothing here waits for a server or imports mlflow. The writer is a process of its own that lives a little
longer than the driver: closing its standard input, or dying in any way, tells it to send the rest and end.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.tracking.mlflow_view.system_metrics import Machine
from harness.tracking.spool.cursor import Cursor, unsent
from harness.tracking.spool.event_log import Event, EventLog, now_ms, read_events
from harness.tracking.spool.writer_log import line_logger
from harness.tracking.tracking_uri import redact_uri

RESTART = 30.0  # seconds, at least, between two starts of the writer
ERRORS = "writer.err"  # beside the spool: what the writer could not put into its log
GRACE = 3.0  # seconds that `finish` gives a server that was away before it

# A writer that goes on sending after `finish`; kept here, so that it is not taken for forgotten.
_left_behind: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class TrackingStatus:
    """What a server has of the sweep.

    `pending` counts the records it does not have yet, `refused` the values and files it would not take, `aside` those
    that it failed on while it took others,
    `away` says why it cannot be reached; `run_id` and `experiment` (its name) are None before it has
    anything.
    """

    tracking_uri: str
    experiment: str | None
    experiment_id: str | None
    run_id: str | None
    pending: int
    refused: int
    aside: int
    away: str


class Tracker:
    """The spool of `folder`, shown on the server behind `uri` (as `uri.resolve` gives it).

    `every` is the number of seconds between two batches, `drain` how long the writer may outlive the driver; with
    `system_metrics` the sweep's own run shows how busy this machine is.
    """

    def __init__(
        self, folder: Path, uri: str, every: float = 2.0, drain: float = 60.0, system_metrics: bool = False
    ) -> None:
        self.spool = EventLog(folder)
        self.uri = uri
        self._every, self._drain = every, drain
        self._machine = Machine(self.spool.append, line_logger(folder), _began(folder)) if system_metrics else None
        self._writer: subprocess.Popen[bytes] | None = None
        self._started = -RESTART

    @property
    def warnings(self) -> list[str]:
        """What was found damaged in the spool, in words."""
        return self.spool.warnings

    def append(self, record: Event) -> None:
        """Keeps `record`, in less than a millisecond; a writer that died is started again."""
        self.spool.append(record)
        if self._writer is not None and self._writer.poll() is not None:
            self.start()

    def start(self) -> None:
        """Starts the writer, if none is at work. It takes seconds of a core: best after the first result."""
        if self._machine is not None:
            self._machine.start()
        idle = self._writer is None or self._writer.poll() is not None
        if not idle or time.monotonic() < self._started + RESTART:
            return
        self._hang_up()
        self._started = time.monotonic()
        home = str(Path(harness.__file__).parent.parent)
        environment = {
            **os.environ,
            "MLFLOW_TRACKING_URI": self.uri,  # not an argument: it may hold a password, and `ps` shows those
            "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")])),
        }
        with (self.spool.folder / ERRORS).open("ab") as errors:
            self._writer = subprocess.Popen(
                [
                    *(sys.executable, "-m", "harness.tracking.mlflow_view.writer_process", str(self.spool.folder)),
                    *("--follow", "--every", str(self._every), "--drain", str(self._drain)),
                ],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                env=environment,
                start_new_session=True,  # an interrupt at the terminal is the driver's, not the writer's
            )

    def finish(self, timeout: float = 30.0) -> TrackingStatus:
        """Closes the spool and gives the writer up to `timeout` seconds to send the rest.

        Where the server is away this returns after a few seconds; the writer goes on by itself for its
        `drain` seconds, and `python -m harness.sync` sends what is left then.
        """
        if self._machine is not None:
            self._machine.stop()
        self.spool.close()
        self._started = -RESTART
        self.start()
        self._hang_up()
        assert self._writer is not None
        begin = time.monotonic()
        while self._writer.poll() is None and time.monotonic() < begin + timeout:
            if time.monotonic() > begin + GRACE and self._cursor().away:
                break
            time.sleep(0.05)
        if self._writer.poll() is None:
            _left_behind.append(self._writer)
        return self.sent()

    def sent(self) -> TrackingStatus:
        """How far the server has been fed by now."""
        cursor = self._cursor()
        pending = unsent(self.spool.folder, self.uri)
        broken = pending > 0 and self._writer is not None and self._writer.poll() is not None
        return TrackingStatus(
            tracking_uri=redact_uri(self.uri),
            experiment=cursor.experiment,
            experiment_id=cursor.experiment_id,
            run_id=cursor.run_id,
            pending=pending,
            refused=cursor.refused,
            aside=cursor.aside,
            away=cursor.away or (f"the writer failed, see {self.spool.folder / ERRORS}" if broken else ""),
        )

    def _cursor(self) -> Cursor:
        return Cursor.load(self.spool.folder, self.uri)

    def _hang_up(self) -> None:
        if self._writer is not None and self._writer.stdin is not None:
            self._writer.stdin.close()


def _began(folder: Path) -> int:
    """When the sweep was begun: the time of its spool's first record."""
    return next((record.time for record, _ in read_events(folder) if record is not None), now_ms())
