"""Load of the driver's machine (processor, memory, disk, network, GPUs), measured by MLflow's own monitors.

A thread of the driver appends it to the event log as curves `system/…` of the sweep's run, over the seconds since the
sweep started. It is optional, as importing MLflow takes two seconds of the driver. A failure ends the thread, is logged
and does no other harm.
"""

import threading

from harness.tracking.spool.event_log import EventLog, read_events
from harness.tracking.spool.events import SystemMetrics, now_ms
from harness.tracking.spool.writer_log import log_line

INTERVAL = 5.0
"""Seconds between two points."""
STOP_TIMEOUT = 5.0
"""Seconds that `stop` waits for the thread."""


class SystemMonitor:
    """Thread that appends the machine's load to `event_log` from `start` to `stop`."""

    def __init__(self, event_log: EventLog) -> None:
        self._event_log = event_log
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True, name="system monitor")

    def start(self) -> None:
        """Start the thread and return at once; does nothing after an earlier start or stop."""
        if self._thread.ident is None and not self._stopped.is_set():
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT)

    def _measure(self) -> None:
        try:
            from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL

            from harness.tracking.mlflow_view.mlflow_internals import system_monitors

            first = (event.time for event, _ in read_events(self._event_log.folder) if event is not None)
            start_time, step = next(first, now_ms()), 0
            monitors = system_monitors()
            seconds = float(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or INTERVAL)  # type: ignore[no-untyped-call]
            while not self._stopped.wait(seconds):
                metrics: dict[str, float] = {}
                for monitor in monitors:
                    monitor.collect_metrics()
                    metrics |= {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
                    monitor.clear_metrics()
                now = now_ms()
                step = max(step + 1, (now - start_time) // 1000)  # one point per step
                self._event_log.append(SystemMetrics(step=step, metrics=metrics, time=now))
        except Exception as error:
            log_line(self._event_log.folder, f"the machine's load is not measured: {error}")
