"""Calls of MLflow's client, and its names outside of the documented API. Checked with MLflow 3.17.

name                                             without it
ERROR_CODE_TO_HTTP_STATUS                        import error: no event is sent
RunData.to_proto().metrics                       AttributeError: no event is sent
system_metrics.metrics.*_monitor                 the log says that the machine's load is not measured
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException

from harness.common.redaction import redact


def all_pages(search: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
    """Yield what a search of MlflowClient finds, page by page."""
    token = None
    while True:
        page = search(**arguments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def first_line(error: Exception) -> str:
    """First line of an error, without credentials."""
    text = str(error).strip() or type(error).__name__
    return redact(text.splitlines()[0])[:400]


def http_status(error: MlflowException) -> int:
    """HTTP status of an error from a server; 500 where it has none."""
    return ERROR_CODE_TO_HTTP_STATUS.get(error.error_code, 500)


def last_points(run: Run) -> dict[str, tuple[int, float]]:
    """Step and value of the last point of each curve; the public `run.data.metrics` has no steps."""
    return {point.key: (point.step, point.value) for point in run.data.to_proto().metrics}


def system_monitors() -> list[Any]:
    """MLflow's monitors of processor, disk, network and, where there is one, GPU."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]  # type: ignore[no-untyped-call]
    with suppress(Exception):  # no GPU, or no library for it
        monitors.append(GPUMonitor())  # type: ignore[no-untyped-call]
    return monitors
