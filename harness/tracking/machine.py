"""How busy the driver's machine is (processor, memory, disk, network, GPUs), by MLflow's own monitor.

It runs in a thread of the writer, with its own connection: curves `system/…` on the sweep's run, for as long as that
runs. They are no part of the spool: what was not sent at the time is gone. Whatever fails here is said in the log.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.tracking.cursor import Cursor

SECONDS = 5.0  # between two points
LOOK = 0.5  # seconds between two looks whether the server has the sweep's run
PATIENCE = 5.0  # seconds that the last point is waited for


@contextmanager
def watched(folder: Path, uri: str, say: Callable[[str], None]) -> Iterator[None]:
    """Inside of it the machine's load is shown on the run of the sweep whose spool is in `folder`."""
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(folder, uri, say, over), daemon=True, name="machine")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE)


def _watch(folder: Path, uri: str, say: Callable[[str], None], over: threading.Event) -> None:
    try:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor as Monitor

        while not over.wait(LOOK):
            cursor = Cursor.load(folder, uri)
            if cursor.run_id is not None and not cursor.away:
                monitor = Monitor(cursor.run_id, SECONDS, resume_logging=True, tracking_uri=uri)  # type: ignore[no-untyped-call]
                monitor.start()  # type: ignore[no-untyped-call]
                over.wait()
                monitor.finish()  # type: ignore[no-untyped-call]
    except Exception as error:
        say(f"the machine's load is not shown: {error}")
