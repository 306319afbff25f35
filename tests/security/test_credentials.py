"""A user and password in an address: never in a file, a run, a process's arguments, or words that are shown."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from harness.tracking import provenance
from harness.tracking.tracking_uri import TrackingError, check_server, redact_uri
from tests.commands.test_compare import swept
from tests.conftest import finish, start
from tests.security.conftest import again, call, finished
from tests.tracking.conftest import empty_database, free_port, server

__all__ = ["empty_database", "server"]

SECRETS = ("Us3rName", "S3cret")
USER = "Us3rName:S3cret@"


def leaks(text: str | bytes) -> list[str]:
    read = text.decode(errors="replace") if isinstance(text, bytes) else text
    return [secret for secret in SECRETS if secret.lower() in read.lower()]


def of_files(folder: Path) -> dict[str, list[str]]:
    leaks_by_file = {str(file): leaks(file.read_bytes()) for file in sorted(folder.rglob("*")) if file.is_file()}
    assert leaks_by_file
    return {name: secrets for name, secrets in leaks_by_file.items() if secrets}


def of_processes(parent: psutil.Process) -> set[str]:
    """The arguments of those below a process, as `ps` shows them to everybody."""
    shown = set()
    for process in parent.children(recursive=True):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            shown.add(" ".join(process.cmdline()))
    return shown


def test_a_sweep_on_a_server_with_a_password_leaves_it_nowhere(tmp_path: Path, server: str) -> None:
    finished(tmp_path)
    uri = server.replace("://", f"://{USER}")
    process = start("harness.search", *again(tmp_path, "--tracking-uri", uri))
    shown: set[str] = set()
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            shown |= of_processes(psutil.Process(process.pid))
        time.sleep(0.02)
    result = finish(process)
    assert result.code == 0, result.all
    assert leaks(result.all) == []
    assert any("harness.tracking.mlflow_view.writer_process" in command for command in shown)
    assert [command for command in shown if leaks(command)] == []
    assert of_files(tmp_path) == {}
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("label_lr")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) >= 1
    assert leaks(repr([run.to_dictionary() for run in runs])) == []
    assert leaks(call("sync", "label_lr", "--runs-dir", str(tmp_path), "--tracking-uri", uri).all) == []
    assert of_files(tmp_path) == {}


def test_a_comparison_on_a_server_with_a_password_shows_it_nowhere(tmp_path: Path, server: str) -> None:
    uri = server.replace("://", f"://{USER}")
    (tmp_path / "runs").mkdir()
    swept(uri, tmp_path / "runs", "compared", verdict="<script>alert(1)</script>")
    page = tmp_path / "page.html"
    result = call("compare", "compared", "--tracking-uri", uri, "--html", str(page))
    assert result.code == 0, result.all
    assert leaks(result.all) == []
    assert leaks(page.read_text()) == []
    assert "<script>alert" not in page.read_text()


@pytest.mark.parametrize("kind", ["http", "postgresql", "mysql"])
def test_a_writer_logs_an_unreachable_server_without_the_password(tmp_path: Path, kind: str) -> None:
    folder = finished(tmp_path)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "harness.tracking.mlflow_view.writer_process",
            str(folder / "spool"),
            "--drain-seconds",
            "0.1",
        ],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"{kind}://{USER}127.0.0.1:{free_port()}/lab?password=S3cret"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert leaks(done.stdout + done.stderr) == []
    assert (folder / "spool" / "writer.log").read_text() != ""
    assert of_files(tmp_path) == {}


ADDRESSES = [
    f"http://{USER}127.0.0.1:1",
    f"http://{USER}127.0.0.1:1/base?token=S3cret",
    f"https://{USER}no-such-host.invalid",
    f"postgresql://{USER}127.0.0.1:1/lab",
    f"postgresql+psycopg2://{USER}127.0.0.1:1/lab?password=S3cret",
    f"mysql+pymysql://{USER}127.0.0.1:1/lab",
    f"ftp://{USER}127.0.0.1:1",
    f"{USER}127.0.0.1:5000",
    # as they are typed, not as an address wants them
    "http://Us3rName:S3/cret@127.0.0.1:1",
    "http://Us3rName:12/S3cret@127.0.0.1:1",
    "http://Us3rName:12#S3cret@127.0.0.1:1",
    "http://Us3rName:?S3cret@127.0.0.1:1",
    "http://Us3rName:#S3cret@127.0.0.1:1",
    "http://Us3rName:S3cret@x@127.0.0.1:1",
    "http://Us3rName@lab:S3cret@127.0.0.1:1",
    "http://Us3rName:[S3cret@127.0.0.1:1",
    f"http://{USER}127.0.0.1:port",
    f"http://{USER}[::1",
    f"http://{USER}",
]


@pytest.mark.parametrize("uri", ADDRESSES)
def test_an_unusable_address_is_reported_without_the_password(tmp_path: Path, uri: str) -> None:
    finished(tmp_path)
    with pytest.raises(TrackingError) as caught:
        check_server(uri, timeout=1)
    assert leaks(str(caught.value)) == []
    assert leaks(redact_uri(uri)) == []
    for module, words in (
        ("search", again(tmp_path)),
        ("confirm", ("label_lr", "--runs-dir", str(tmp_path))),
        ("sync", ("label_lr", "--runs-dir", str(tmp_path))),
        ("compare", ("label_lr",)),
    ):
        result = call(module, *words, "--tracking-uri", uri)
        assert result.code in (1, 2), (module, result.all)
        assert leaks(result.all) == [], module
    assert of_files(tmp_path) == {}
    assert leaks(provenance.redacted_command(["harness.search", "--tracking-uri", uri, f"--tracking-uri={uri}"])) == []


@pytest.mark.parametrize(
    "change",
    [
        f"tracking_uri=http://{USER}lab",
        f"dataset=http://{USER}lab",
        f"model=http://{USER}lab",
        f"noise_rate=http://{USER}lab",
        "api_key=S3cret",
        "search.password=S3cret",
    ],
)
def test_an_override_is_reported_without_the_password(change: str) -> None:
    result = call("train", "--space", "label_lr.yaml", "--set", change)
    assert result.code == 2
    assert leaks(result.all) == []


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--set=api_key=S3cret"], "'--set=api_key=***'"),
        (["--password=S3cret"], "'--password=***'"),
        (["--tracking-uri", f"https://{USER}lab/x?key=S3cret"], "--tracking-uri https://lab/x"),
        (["--env", "AWS_SECRET_ACCESS_KEY=S3cret"], "--env 'AWS_SECRET_ACCESS_KEY=***'"),
        (["--env=HUB_TOKEN=S3cret=="], "'--env=HUB_TOKEN=***'"),
        (["--hub-token", "S3cret", "--seed", "1"], "--hub-token '***' --seed 1"),
        (["--set", f"data_root=s3://{USER}lab/x"], "--set data_root=s3://lab/x"),
    ],
)
def test_a_command_line_is_kept_without_it(words: list[str], kept: str) -> None:
    assert provenance.redacted_command(words) == kept


def test_a_job_is_not_sent_with_it(tmp_path: Path) -> None:
    there = ("--space", "label_lr.yaml", "--runs-dir", "/runs", "--address", f"http://{USER}127.0.0.1:9")
    for more in (
        (),
        ("--", "--tracking-uri", f"http://{USER}lab"),
        ("--", f"--tracking-uri=postgresql://{USER}lab/db"),
    ):
        result = call("submit", *there, *more)
        assert result.code == 2
        assert leaks(result.all) == []
        assert ("leave them out" in result.err) == bool(more)
