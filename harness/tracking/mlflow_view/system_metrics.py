"""Load of the driver's machine (processor, memory, disk, network, GPUs), measured by MLflow's own monitors.

A thread of the driver appends it to the event log as curves `system/…` of the sweep's run, over the seconds since the
sweep started. It is optional, as importing MLflow takes two seconds of the driver. A failure ends the thread, is logged
and does no other harm.
"""

import threading
from collections.abc import Callable

from harness.tracking.spool.events import Event, SystemMetrics, now_ms
from harness.tracking.spool.writer_log import Log

INTERVAL = 5.0
"""Seconds between two points."""
STOP_TIMEOUT = 5.0
"""Seconds that `stop` waits for the thread."""


class SystemMonitor:
    """Thread that measures the machine from `start` to `stop`.

    Args:
        append: takes an event, from any thread.
        log: takes a line for the log.
        start_time: when the sweep started, in milliseconds since the epoch.
    """

    def __init__(self, append: Callable[[Event], None], log: Log, start_time: int) -> None:
        self._append, self._log, self._start_time = append, log, start_time
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread and return at once; does nothing after an earlier start or stop."""
        if self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._measure, daemon=True, name="system monitor")
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT)

    def _measure(self) -> None:
        try:
            from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL

            from harness.tracking.mlflow_view.mlflow_internals import system_monitors

            monitors, step = system_monitors(), 0
            seconds = float(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or INTERVAL)  # type: ignore[no-untyped-call]
            while not self._stopped.wait(seconds):
                metrics: dict[str, float] = {}
                for monitor in monitors:
                    monitor.collect_metrics()
                    metrics |= {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
                    monitor.clear_metrics()
                now = now_ms()
                step = max(step + 1, (now - self._start_time) // 1000)  # one point per step
                self._append(SystemMetrics(step=step, metrics=metrics, time=now))
        except Exception as error:
            self._log(f"the machine's load is not measured: {error}")
