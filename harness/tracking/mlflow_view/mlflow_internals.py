"""Calls of MLflow's client, and its names outside of the documented API. Checked with MLflow 3.17.

name                                             without it
ERROR_CODE_TO_HTTP_STATUS                        import error: no event is sent
RunData.to_proto().metrics                       AttributeError: no event is sent
system_metrics.metrics.*_monitor                 the log says that the machine's load is not measured
db.utils._make_parent_dirs_if_sqlite             an empty folder named like the quoted one, `r%2520uns` beside `r%20uns`
tables experiments, runs, logged_models          files of a runs folder that was moved are looked for at the old place
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException

from harness.common.errors import first_line
from harness.common.redaction import redact
from harness.tracking.tracking_uri import ARTIFACTS, bypass_proxy, sqlite_path

ARTIFACT_COLUMNS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
}
"""Table of MLflow's database → its column with the address of a folder of files."""


def all_pages(search: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
    """Yield what a search of MlflowClient finds, page by page."""
    token = None
    while True:
        page = search(**arguments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def redacted_line(error: Exception) -> str:
    """First line of an error, without credentials."""
    return redact(first_line(error))[:400]


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


def open_client(uri: str) -> MlflowClient:
    """A client of the server or database at `uri`; a database that was moved is told so."""
    database = sqlite_path(uri)
    if database is not None:
        from mlflow.store.db import utils  # with SQLAlchemy, which a server over HTTP does not need

        # MLflow makes the folder of a URI as it is written, with `%25` for each `%`.
        if hasattr(utils, "_make_parent_dirs_if_sqlite"):
            utils._make_parent_dirs_if_sqlite = lambda db_uri: None
        with suppress(sqlite3.OperationalError):  # cannot be written here
            update_artifact_locations(database)
    elif uri.startswith("http"):
        bypass_proxy(uri)
    return MlflowClient(uri)


def update_artifact_locations(database: Path) -> None:
    """Let the experiments and runs of an SQLite database that was moved with its folder have their files beside it.

    MLflow keeps absolute addresses. Those of a folder that is still there stay, unless it was copied with its files.
    """
    if not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiments" not in tables:
            return
        for number, name, old in connection.execute("SELECT experiment_id, name, artifact_location FROM experiments"):
            study = quote(name, safe="")
            new = f"{(database.parent / ARTIFACTS).as_uri()}/{study}"
            if old == new or not old.startswith("file:///") or not old.endswith(f"/{ARTIFACTS}/{study}"):
                continue
            if Path(url2pathname(urlsplit(old).path)).exists() and not (database.parent / ARTIFACTS / study).exists():
                continue
            for table in tables & ARTIFACT_COLUMNS.keys():
                column = ARTIFACT_COLUMNS[table]
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE experiment_id = ? AND ({column} = ? OR substr({column}, 1, ?) = ?)",
                    (new, len(old) + 1, number, old, len(old) + 1, f"{old}/"),
                )
