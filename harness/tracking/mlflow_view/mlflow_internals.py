"""Calls of MLflow's client, and its names outside of the documented API. Checked with MLflow 3.17.

name                                             without it
ERROR_CODE_TO_HTTP_STATUS                        import error: no event is sent
RunData.to_proto().metrics                       AttributeError: no event is sent
MlflowClient._tracking_client.store,
  get_metric_history_bulk, RestStore,
  rest_utils.http_request, get-history-bulk      curves are read run by run, which is slower
system_metrics.metrics.*_monitor                 the log says that the machine's load is not measured
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException

from harness.common.redaction import scrub

BULK_RUNS = 100
"""Runs of one call for curves; a server's limit."""


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
    return scrub(text.splitlines()[0])[:400]


def http_status(error: MlflowException) -> int:
    """HTTP status of an error from a server; 500 where it has none."""
    return ERROR_CODE_TO_HTTP_STATUS.get(error.error_code, 500)


def last_points(run: Run) -> dict[str, tuple[int, float]]:
    """Step and value of the last point of each curve; the public `run.data.metrics` has no steps."""
    return {point.key: (point.step, point.value) for point in run.data.to_proto().metrics}


def bulk_history(
    client: MlflowClient, run_ids: list[str], metric: str, limit: int
) -> list[tuple[str, int, float]] | None:
    """(run, step, value) of up to `limit` points of BULK_RUNS runs; None where the store cannot do that in one call."""
    try:
        from mlflow.store.tracking.rest_store import RestStore
        from mlflow.utils.rest_utils import http_request

        store = client._tracking_client.store
        if hasattr(store, "get_metric_history_bulk"):
            points = store.get_metric_history_bulk(run_ids, metric, limit)
            return [(point.run_id, point.step, point.value) for point in points]
        if not isinstance(store, RestStore):
            return None
        response = http_request(  # type: ignore[no-untyped-call]
            store.get_host_creds(),
            "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
            "GET",
            params={"run_id": run_ids, "metric_key": metric, "max_results": limit},
        )
        response.raise_for_status()
        return [(point["run_id"], int(point["step"]), float(point["value"])) for point in response.json()["metrics"]]
    except (ImportError, AttributeError, TypeError, MlflowException, OSError, ValueError, KeyError):
        return None


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
