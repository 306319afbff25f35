"""How busy the driver's machine is (processor, memory, disk, network, GPUs), as MLflow's own monitors measure it.

A thread of the driver's puts it into the spool, as curves `system/…` of the sweep's run over the seconds since the
sweep was begun. Importing MLflow takes it two seconds, which is why this is a switch. Whatever fails here ends it, is
said in the log, and hurts nothing else.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from harness.tracking.spool.event_log import Event, SystemMetrics, now_ms
from harness.tracking.spool.writer_log import Say

SECONDS = 5.0  # between two points
PATIENCE = 5.0  # seconds that its end is waited for


class Machine:
    """Measures from `start` to `stop`.

    Args:
        append: takes a record, from any thread.
        say: takes a line for the log.
        began: when the sweep did, in milliseconds since the epoch.
    """

    def __init__(self, append: Callable[[Event], None], say: Say, began: int) -> None:
        self._append, self._say, self._began = append, say, began
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Return at once; does nothing where it was started or stopped before."""
        if self._thread is None and not self._over.is_set():
            self._thread = threading.Thread(target=self._watch, daemon=True, name="machine")
            self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _watch(self) -> None:
        try:
            from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL as EVERY

            sources, step = _sources(), 0
            seconds = float(EVERY.get() or SECONDS)  # type: ignore[no-untyped-call]
            while not self._over.wait(seconds):
                metrics: dict[str, float] = {}
                for source in sources:
                    source.collect_metrics()
                    metrics |= {f"system/{name}": float(value) for name, value in source.aggregate_metrics().items()}
                    source.clear_metrics()
                now = now_ms()
                step = max(step + 1, (now - self._began) // 1000)  # one point a step
                self._append(SystemMetrics(step=step, metrics=metrics, time=now))
        except Exception as error:
            self._say(f"the machine's load is not measured: {error}")


def _sources() -> list[Any]:
    """MLflow's monitors of what there is."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    sources: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]  # type: ignore[no-untyped-call]
    with suppress(Exception):  # no GPU, or nothing installed that knows it
        sources.append(GPUMonitor())  # type: ignore[no-untyped-call]
    return sources
