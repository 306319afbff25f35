"""Tracking URIs: the default, whether a server answers, a form without passwords.

Nothing here imports MLflow, so that a command can say in its first second that a server is not there.
"""

import base64
import hashlib
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from harness.common.errors import HarnessError
from harness.common.redaction import scrub

DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SQLITE_MAGIC = b"SQLite format 3\x00"
EXPECTED = "http(s)://HOST:PORT, sqlite:////PATH/mlflow.db, or postgresql://, mysql://, mssql://"
START_IT = "start it, or leave --tracking-uri out to track in the runs folder"


class TrackingError(HarnessError):
    """A tracking server that cannot be used."""


class ServerUnavailable(TrackingError):
    """The URI is valid, but no server can be used there now."""


def default_uri(runs_dir: Path) -> str:
    """The store that needs no server: SQLite in the runs folder."""
    return f"sqlite:///{runs_dir.absolute() / 'mlflow.db'}"


def resolve_uri(uri: str | None, runs_dir: Path) -> str:
    """`uri` with its path made absolute; the default of `runs_dir` if None."""
    if not uri:
        return default_uri(runs_dir)
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{_sqlite_path(uri).absolute()}"
    return uri.rstrip("/")


def artifact_root(uri: str, runs_dir: Path) -> str | None:
    """Where a new experiment keeps its files; None leaves it to the server."""
    scheme = _scheme(uri)
    if scheme == "sqlite":
        return (_sqlite_path(uri).absolute().parent / "mlartifacts").as_uri()
    return (runs_dir.absolute() / "mlartifacts").as_uri() if scheme in DATABASE_PORTS else None


def sqlite_path(uri: str) -> Path | None:
    """File of a SQLite URI; None for any other URI."""
    return _sqlite_path(uri) if _scheme(uri) == "sqlite" else None


def redact_uri(uri: str) -> str:
    """`uri` without its user, password and query."""
    address = scrub(uri) if "://" in uri else uri.rpartition("@")[2]
    return address.split("?", 1)[0]


def fingerprint(uri: str) -> str:
    """Eight hex digits that name a server in file names; independent of the user."""
    return hashlib.sha256(redact_uri(uri).encode()).hexdigest()[:8]


def check_server(uri: str, timeout: float = 3.0) -> None:
    """Check that the server behind `uri` can be used; creates nothing.

    Raises:
        TrackingError: the URI is not valid.
        ServerUnavailable: no server answers there.
    """
    scheme = _scheme(uri)
    if scheme in ("http", "https"):
        _check_http(uri, timeout)
    elif scheme == "sqlite":
        _check_sqlite(uri)
    elif scheme in DATABASE_PORTS:
        _, host, port = _split(uri)
        port = port or DATABASE_PORTS[scheme]
        try:
            socket.create_connection((host, port), timeout=timeout).close()
        except OSError as error:
            raise ServerUnavailable(
                f"--tracking-uri: expected a database at {host}:{port}, got {_reason(error)}; {START_IT}"
            ) from None
    else:
        raise TrackingError(f"--tracking-uri: expected {EXPECTED}, got '{redact_uri(uri)}'")


def _scheme(uri: str) -> str:
    """`postgresql` for `postgresql+psycopg2://…`; empty where there is none."""
    return uri.split("://", 1)[0].split("+", 1)[0].lower() if "://" in uri else ""


def _sqlite_path(uri: str) -> Path:
    return Path(unquote(uri.split(":///", 1)[1].split("?", 1)[0]))


def _split(uri: str) -> tuple[SplitResult, str, int | None]:
    """Parts, host and port of a URI; refuses a user or password that is not percent-encoded."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
        after_host = parts.path + parts.fragment + ("" if "@" in parts.netloc else parts.query)
    except ValueError:  # its message may quote a password
        if "@" not in uri:
            raise TrackingError(f"--tracking-uri: expected {EXPECTED}, got '{redact_uri(uri)}'; correct it") from None
        after_host = "@"
    if "@" in after_host:
        raise TrackingError(
            f"--tracking-uri: expected {EXPECTED}, got '{redact_uri(uri)}' after a user or password with a / ? or # in "
            "it; write these as %2F, %3F, %23"
        )
    if not host:
        raise TrackingError(f"--tracking-uri: expected a host, got '{redact_uri(uri)}'; write {EXPECTED}")
    return parts, host, port


def _check_http(uri: str, timeout: float) -> None:
    parts, host, port = _split(uri)
    authority = f"[{host}]" if ":" in host else host
    where = f"{parts.scheme}://{authority}" + (f":{port}" if port else "") + parts.path.rstrip("/")
    request = urllib.request.Request(f"{where}/health")
    user, password = parts.username, parts.password
    if user is None:
        user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user:
        token = base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            if response.read(64).strip() == b"OK":
                return
        found = "another web server"
    except urllib.error.HTTPError as error:
        error.close()
        found = f"HTTP {error.code}"
    except urllib.error.URLError as error:
        found = _reason(error.reason)
    except (OSError, ValueError) as error:
        found = _reason(error)
    raise ServerUnavailable(f"--tracking-uri: expected an MLflow server at {where}, got {found}; {START_IT}")


def _check_sqlite(uri: str) -> None:
    if not uri.startswith("sqlite:///") or not _sqlite_path(uri).name:
        raise TrackingError(f"--tracking-uri: expected sqlite:////PATH/mlflow.db, got '{redact_uri(uri)}'")
    path = _sqlite_path(uri).absolute()
    if path.is_dir():
        raise TrackingError(f"--tracking-uri: expected a database file at {path}, found a folder; add mlflow.db")
    if path.exists():
        with path.open("rb") as file:
            start = file.read(len(SQLITE_MAGIC))
        if start not in (SQLITE_MAGIC, b""):
            raise TrackingError(f"--tracking-uri: expected an SQLite database at {path}, found another file")
    existing = next(folder for folder in path.parents if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise TrackingError(f"--tracking-uri: cannot write in {existing}; name a folder of yours")


def _reason(error: object) -> str:
    """What went wrong, without the number of the error."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "an unknown host name"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
