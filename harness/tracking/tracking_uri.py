"""Which tracking server a sweep is shown on, whether it answers, and how to name it without its password.

Nothing here imports mlflow, so that a command line can say in its first second that a server is not there.
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

DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SQLITE_MAGIC = b"SQLite format 3\x00"
EXPECTED = "http(s)://HOST:PORT, sqlite:////PATH/mlflow.db, or postgresql://, mysql://, mssql://"


class TrackingError(HarnessError):
    """A tracking server that cannot be used; the message says what was expected, what came and what to do."""


class ServerUnavailable(TrackingError):
    """The address is a good one, but nothing that could be used answers there now."""


def default_uri(runs_dir: Path) -> str:
    """The store that needs no server: SQLite inside the runs folder."""
    return f"sqlite:///{runs_dir.absolute() / 'mlflow.db'}"


def resolve_uri(uri: str | None, runs_dir: Path) -> str:
    """`uri` with its path made absolute, or the default of `runs_dir` where none is given."""
    if not uri:
        return default_uri(runs_dir)
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{_sqlite_path(uri).absolute()}"
    return uri.rstrip("/")


def artifact_root(uri: str, runs_dir: Path) -> str | None:
    """Where a new experiment keeps its files; None leaves it to the server behind `uri`."""
    scheme = _scheme(uri)
    if scheme == "sqlite":
        return (_sqlite_path(uri).absolute().parent / "mlartifacts").as_uri()
    if scheme in DATABASES:
        return (runs_dir.absolute() / "mlartifacts").as_uri()
    return None


def sqlite_path(uri: str) -> Path | None:
    """The file behind a SQLite URI, None for any other."""
    return _sqlite_path(uri) if _scheme(uri) == "sqlite" else None


def redact_uri(uri: str) -> str:
    """`uri` without its user, password and query, where credentials are kept."""
    address = scrub(uri) if "://" in uri else uri.rpartition("@")[2]
    return address.split("?", 1)[0]


def fingerprint(uri: str) -> str:
    """Eight hex digits that stand for a server in file names; the same for every user of it."""
    return hashlib.sha256(redact_uri(uri).encode()).hexdigest()[:8]


def check_server(uri: str, timeout: float = 3.0) -> None:
    """Returns if the server behind `uri` can be used now, else TrackingError. Creates nothing."""
    scheme = _scheme(uri)
    if scheme in ("http", "https"):
        _check_http(uri, timeout)
    elif scheme == "sqlite":
        _check_sqlite(uri)
    elif scheme in DATABASES:
        _check_database(uri, DATABASES[scheme], timeout)
    else:
        raise TrackingError(f"--tracking-uri: expected {EXPECTED}, got '{redact_uri(uri)}'")


def _scheme(uri: str) -> str:
    """`postgresql` for `postgresql+psycopg2://…`; empty where there is none."""
    return uri.split("://", 1)[0].split("+", 1)[0].lower() if "://" in uri else ""


def _sqlite_path(uri: str) -> Path:
    return Path(unquote(uri.split(":///", 1)[1].split("?", 1)[0]))


def _parts(uri: str) -> tuple[SplitResult, str, int | None]:
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
        beyond = parts.path + parts.fragment + ("" if "@" in parts.netloc else parts.query)
    except ValueError:  # whose words may quote a password
        if "@" not in uri:
            raise TrackingError(f"--tracking-uri: expected {EXPECTED}, got '{redact_uri(uri)}'; correct it") from None
        beyond = "@"
    if "@" in beyond:
        raise TrackingError(
            f"--tracking-uri: expected {EXPECTED}, got '{redact_uri(uri)}' after a user or password with a / ? or # in "
            "it; write these as %2F, %3F, %23"
        )
    if not host:
        raise TrackingError(f"--tracking-uri: expected a host, got '{redact_uri(uri)}'; write {EXPECTED}")
    return parts, host, port


def _check_http(uri: str, timeout: float) -> None:
    parts, host, port = _parts(uri)
    authority = f"[{host}]" if ":" in host else host
    where = f"{parts.scheme}://{authority}" + (f":{port}" if port else "") + parts.path.rstrip("/")
    request = urllib.request.Request(f"{where}/health")
    user, password = parts.username, parts.password
    if user is None:
        user, password = (
            os.environ.get("MLFLOW_TRACKING_USERNAME"),
            os.environ.get("MLFLOW_TRACKING_PASSWORD"),
        )
    if user:
        token = base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body = answer.read(64)
    except urllib.error.HTTPError as error:
        error.close()
        found = f"HTTP {error.code}"
    except urllib.error.URLError as error:
        found = _words(error.reason)
    except (OSError, ValueError) as error:
        found = _words(error)
    else:
        if body.strip() == b"OK":
            return
        found = "another web server"
    raise ServerUnavailable(
        f"--tracking-uri: expected an MLflow server at {where}, got {found}; "
        "start it, or leave --tracking-uri out to track in the runs folder"
    )


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


def _check_database(uri: str, default_port: int, timeout: float) -> None:
    _, host, port = _parts(uri)
    try:
        socket.create_connection((host, port or default_port), timeout=timeout).close()
    except OSError as error:
        raise ServerUnavailable(
            f"--tracking-uri: expected a database at {host}:{port or default_port}, got {_words(error)}; "
            "start it, or leave --tracking-uri out to track in the runs folder"
        ) from None


def _words(error: object) -> str:
    """What went wrong, without the number of the error."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "an unknown host name"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
