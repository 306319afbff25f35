"""A server that cannot be used is refused in words, at once, and nothing is made on the way."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.tracking.tracking_uri import (
    ServerUnavailable,
    TrackingError,
    artifact_root,
    check_server,
    default_uri,
    fingerprint,
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
            """Says nothing: the tests do."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_port_where_nothing_listens_is_told_with_the_remedy() -> None:
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


def test_another_web_server_is_not_taken_for_mlflow(other_server: str) -> None:
    with pytest.raises(ServerUnavailable, match="got another web server"):
        check_server(other_server)
    with pytest.raises(ServerUnavailable, match="got HTTP 404"):
        check_server(f"{other_server}/nothing")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("ftp://host/x", "expected http"),
        ("runs/mlruns", "expected http"),
        ("http://", "expected a host"),
        ("http://host:port", "expected http"),
        ("sqlite://mlflow.db", "expected sqlite:////PATH"),
    ],
)
def test_an_address_of_no_known_kind_is_refused(uri: str, expected: str) -> None:
    with pytest.raises(TrackingError, match=expected) as caught:
        check_server(uri)
    assert not isinstance(caught.value, ServerUnavailable)


def test_an_unknown_host_is_told() -> None:
    with pytest.raises(ServerUnavailable, match="an unknown host name"):
        check_server("http://no-such-host.invalid:5000")


def test_a_database_server_that_is_not_there_is_told_without_its_password() -> None:
    port = free_port()
    with pytest.raises(ServerUnavailable, match=f"a database at 127.0.0.1:{port}, got connection refused") as caught:
        check_server(f"postgresql://me:secret@127.0.0.1:{port}/lab")
    assert "secret" not in str(caught.value)


def test_credentials_are_in_no_message(other_server: str) -> None:
    uri = other_server.replace("://", "://me:secret@")
    with pytest.raises(TrackingError) as caught:
        check_server(uri)
    assert "secret" not in str(caught.value)
    assert redact_uri("https://me:secret@host/path?token=secret") == "https://host/path"
    assert fingerprint("https://me:secret@host") == fingerprint("https://you:other@host")


def test_a_new_database_may_be_made_where_one_can_write_and_checking_makes_nothing(tmp_path: Path) -> None:
    check_server(default_uri(tmp_path / "runs" / "of" / "mine"))
    assert list(tmp_path.iterdir()) == []


def test_a_database_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="cannot write in"):
        check_server(default_uri(tmp_path / "file"))


def test_a_folder_or_another_file_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"found a folder; add mlflow\.db"):
        check_server(f"sqlite:///{tmp_path}")
    (tmp_path / "notes.txt").write_text("this is not the file that you are looking for")
    with pytest.raises(TrackingError, match="found another file"):
        check_server(f"sqlite:///{tmp_path / 'notes.txt'}")


def test_the_default_is_sqlite_in_the_runs_folder_with_its_files_beside_it(tmp_path: Path) -> None:
    uri = resolve_uri(None, tmp_path / "runs")
    assert uri == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert artifact_root(uri, tmp_path / "runs") == (tmp_path / "runs" / "mlartifacts").as_uri()
    assert artifact_root("http://host:5000", tmp_path) is None


def test_a_relative_database_means_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_uri("sqlite:///lab.db", tmp_path / "runs") == f"sqlite:///{tmp_path}/lab.db"
