"""Tracking URIs: the default, whether a server answers, a form without passwords.

Nothing here imports MLflow, so that a command can say in its first second that a server is not there.
"""

import base64
import ipaddress
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from harness.common.errors import HarnessError
from harness.common.redaction import redact

DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
ARTIFACTS = "mlartifacts"
"""Folder of MLflow's files, beside a database."""
SQLITE_MAGIC = b"SQLite format 3\x00"
EXPECTED = "http(s)://HOST:PORT, sqlite:////PATH/mlflow.db, or postgresql://, mysql://, mssql://"
START_IT = "start it, or leave --tracking-uri out to track in the runs folder"


class TrackingError(HarnessError):
    """A tracking server that cannot be used."""


class ServerUnavailable(TrackingError):
    """The URI is valid, but no server can be used there now."""


def resolve_uri(uri: str | None, runs_dir: Path) -> str:
    """`uri` with its path made absolute; SQLite in the runs folder, which needs no server, if None.

    Raises:
        TrackingError: the URI of an SQLite database holds a `?`.
    """
    if not uri:
        return sqlite_uri(runs_dir / "mlflow.db")
    if uri.startswith("sqlite:///"):
        return sqlite_uri(_sqlite_path(uri))
    return uri.rstrip("/")


def artifact_root(uri: str, runs_dir: Path) -> str | None:
    """Artifact location of a new experiment: beside its database; None leaves it to the server."""
    database = sqlite_path(uri)
    folder = database.parent if database else runs_dir.absolute() if _scheme(uri) in DATABASE_PORTS else None
    return (folder / ARTIFACTS).as_uri() if folder else None


def sqlite_uri(database: Path) -> str:
    """The URI of an SQLite file; `sqlite_path` takes the path back, and so does SQLAlchemy from version 2.1 on.

    Only `%` and `?` are quoted, since only they have a meaning there.
    """
    return "sqlite:///" + str(database.absolute()).replace("%", "%25").replace("?", "%3F")


def sqlite_path(uri: str) -> Path | None:
    """File of a SQLite URI; None for any other URI."""
    return _sqlite_path(uri) if _scheme(uri) == "sqlite" else None


def redact_uri(uri: str) -> str:
    """`uri` without its user, password and query."""
    address = redact(uri) if "://" in uri else uri.rpartition("@")[2]
    return address.split("?", 1)[0]


def check_server(uri: str, timeout: float = 3.0) -> None:
    """Check that the server behind `uri` can be used; creates nothing.

    Raises:
        TrackingError: the URI is not valid.
        ServerUnavailable: no server answers there.
    """
    scheme = _scheme(uri)
    if scheme == "sqlite":
        _check_sqlite(uri)
    elif scheme in ("http", "https"):
        bypass_proxy(uri)
        _check_http(_split(uri), timeout)
    elif scheme in DATABASE_PORTS:
        parts = _split(uri)
        host, port = parts.hostname, parts.port or DATABASE_PORTS[scheme]
        try:
            socket.create_connection((host, port), timeout=timeout).close()
        except OSError as error:
            raise ServerUnavailable(
                f"--tracking-uri: expected a database at {host}:{port}, got {_reason(error)}; {START_IT}"
            ) from None
    else:
        raise TrackingError(f"--tracking-uri: expected {EXPECTED}, got '{redact_uri(uri)}'")


def bypass_proxy(uri: str) -> None:
    """Let this process, and those that it starts, reach a server on this machine directly: no proxy leads there."""
    host = _split(uri).hostname or ""
    excluded = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if _is_loopback(host) and host not in excluded.split(","):
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, [excluded, host]))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(parts: SplitResult) -> str:
    """The proxy that leads to a server, without its password; empty if there is none."""
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return redact(proxies.get(parts.scheme) or proxies.get("all") or "")


def _scheme(uri: str) -> str:
    """`postgresql` for `postgresql+psycopg2://…`; empty where there is none."""
    return uri.split("://", 1)[0].split("+", 1)[0].lower() if "://" in uri else ""


def _sqlite_path(uri: str) -> Path:
    if "?" in uri:
        raise TrackingError(f"--tracking-uri: expected sqlite:////PATH/mlflow.db, got '{uri}'; write a ? as %3F")
    return Path(unquote(uri.partition(":///")[2])).absolute()


def _split(uri: str) -> SplitResult:
    """Parts of a URI that has a host; refuses a user or password that is not percent-encoded."""
    shown = redact_uri(uri)
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
        encoded = "@" not in parts.path + parts.query + parts.fragment
    except ValueError:  # its message may quote a password
        host, encoded = None, "@" not in uri
    if not encoded:
        raise TrackingError(
            f"--tracking-uri: expected {EXPECTED}, got '{shown}' after a user or password with a / ? or # in it; write "
            "these as %2F, %3F, %23"
        )
    if not host:
        raise TrackingError(f"--tracking-uri: expected {EXPECTED}, got '{shown}'; correct it")
    return parts


def _check_http(parts: SplitResult, timeout: float) -> None:
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    request = urllib.request.Request(f"{where}/health")
    user, password = parts.username, parts.password
    if user is None:
        user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user:
        token = base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        opener = urllib.request.build_opener()  # `urlopen` would keep the proxies of its first call
        with opener.open(request, timeout=timeout) as response:
            if response.read(64).strip() == b"OK":
                return
        got = "another web server"
    except urllib.error.HTTPError as error:
        error.close()
        got = f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        got = _reason(getattr(error, "reason", error))
    remedy = START_IT
    if proxy := _proxy(parts):
        got = f"{got} through the proxy {proxy}"
        remedy = f"go past the proxy with NO_PROXY={parts.hostname}, or {START_IT}"
    raise ServerUnavailable(f"--tracking-uri: expected an MLflow server at {where}, got {got}; {remedy}")


def _check_sqlite(uri: str) -> None:
    if not uri.startswith("sqlite:///"):
        raise TrackingError(f"--tracking-uri: expected sqlite:////PATH/mlflow.db, got '{redact_uri(uri)}'")
    path = _sqlite_path(uri)
    if path.is_dir():
        raise TrackingError(f"--tracking-uri: expected a database file at {path}, found a folder; add mlflow.db")
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(SQLITE_MAGIC)) not in (SQLITE_MAGIC, b""):
                raise TrackingError(f"--tracking-uri: expected an SQLite database at {path}, found another file")
    existing = next(folder for folder in path.parents if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise TrackingError(f"--tracking-uri: cannot write in {existing}; name a folder of yours")


def _reason(error: object) -> str:
    """Text of an error without its number."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "an unknown host name"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
