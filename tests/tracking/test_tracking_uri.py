"""A server that cannot be used is refused in words, at once, and nothing is created on the way."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.tracking.mlflow_view.mlflow_internals import open_client
from harness.tracking.spool.cursor import cursor_path
from harness.tracking.tracking_uri import (
    ServerUnavailable,
    TrackingError,
    artifact_root,
    check_server,
    redact_uri,
    resolve_uri,
)
from tests.tracking.conftest import free_port


@pytest.fixture
def other_server() -> Iterator[str]:
    """A web server that is not MLflow: 200 for /health, 404 below /nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path.startswith("/nothing") else 200)
            self.end_headers()
            self.wfile.write(b"<html>a printer</html>")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_port_where_nothing_listens_is_reported_with_the_remedy() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ServerUnavailable) as caught:
        check_server(url)
    assert str(caught.value) == (
        f"--tracking-uri: expected an MLflow server at {url}, got connection refused; "
        "start it, or leave --tracking-uri out to track in the runs folder"
    )


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        begin = time.monotonic()
        with pytest.raises(ServerUnavailable, match="no answer in time"):
            check_server(f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.3)
        assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("{other}", "got another web server"),
        ("{other}/nothing", "got HTTP 404"),
        ("http://me:secret@no-such-host.invalid:5000", "an unknown host name"),
        ("postgresql://me:secret@127.0.0.1:{port}/lab", "a database at 127.0.0.1:{port}, got connection refused"),
    ],
)
def test_anything_but_a_server_is_reported_without_a_password(uri: str, found: str, other_server: str) -> None:
    port, other = free_port(), other_server.replace("://", "://me:secret@")
    with pytest.raises(ServerUnavailable, match=found.format(port=port)) as caught:
        check_server(uri.format(port=port, other=other))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("ftp://host/x", "expected http"),
        ("runs/mlruns", "expected http"),
        ("http://", "expected http"),
        ("http://host:port", "expected http"),
        ("sqlite://mlflow.db", "expected sqlite:////PATH"),
        ("sqlite:///{}", r"found a folder; add mlflow\.db"),
        ("sqlite:///{}/notes.txt", "found another file"),
        ("sqlite:///{}/notes.txt/runs/mlflow.db", "cannot write in"),
    ],
)
def test_an_address_that_can_never_be_used_is_refused(uri: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is not the file that you are looking for")
    with pytest.raises(TrackingError, match=expected) as caught:
        check_server(uri.format(tmp_path))
    assert not isinstance(caught.value, ServerUnavailable)


def test_a_new_database_may_be_made_where_one_can_write_and_checking_makes_nothing(tmp_path: Path) -> None:
    check_server(resolve_uri(None, tmp_path / "runs" / "of" / "mine"))
    assert list(tmp_path.iterdir()) == []


def test_credentials_are_neither_shown_nor_part_of_a_server_s_name() -> None:
    assert redact_uri("https://me:secret@host/path?token=secret") == "https://host/path"
    assert cursor_path(Path(), "https://me:secret@host") == cursor_path(Path(), "https://you:other@host")


def test_the_default_is_sqlite_in_the_runs_folder_with_its_files_beside_it(tmp_path: Path) -> None:
    uri = resolve_uri(None, tmp_path / "runs")
    assert uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert artifact_root(uri, tmp_path / "runs") == (tmp_path / "runs" / "mlartifacts").as_uri()
    assert artifact_root("http://host:5000", tmp_path) is None


def test_a_relative_database_means_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_uri("sqlite:///lab.db", tmp_path / "runs") == f"sqlite:///{tmp_path}/lab.db"


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> str:
    """A proxy where nothing listens, for this process."""
    address = f"http://me:secret@127.0.0.1:{free_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, address)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "intranet")
    return address.replace("me:secret@", "")


def test_a_server_on_this_machine_is_reached_past_a_proxy(proxied: str, server: str) -> None:
    for url in (server, server.replace("127.0.0.1", "localhost")):
        check_server(url)
        open_client(url).search_experiments()


def test_a_proxy_that_fails_is_named(proxied: str) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        check_server("http://lab.invalid:5000")
    assert str(caught.value) == (
        "--tracking-uri: expected an MLflow server at http://lab.invalid:5000, got connection refused through the "
        f"proxy {proxied}; go past the proxy with NO_PROXY=lab.invalid, or start it, or leave --tracking-uri out to "
        "track in the runs folder"
    )
