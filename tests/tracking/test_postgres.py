"""On PostgreSQL a sweep shows as on SQLite. Started by the test; skipped where Debian's package is not there."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from harness.tracking.tracking_uri import check_server
from tests.tracking.conftest import free_port
from tests.tracking.sweeps import send, shown, sweep_events, write_events


def _program(name: str) -> str | None:
    programs = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(programs[-1]) if programs else shutil.which(name)


@pytest.fixture
def postgres() -> Iterator[str]:
    """A fresh database server on 127.0.0.1; it refuses to be run by root, who hands it to the user `postgres`."""
    pytest.importorskip("psycopg2", reason="no driver for PostgreSQL: pip install psycopg2-binary")
    initdb, control = _program("initdb"), _program("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()
    options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off -p {port}"

    def call(*words: str) -> None:
        done = subprocess.run(
            [*as_user, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    call(initdb, "-D", str(data), "-A", "trust", "-U", "lab", "--no-sync")
    # Its log is a file: a pipe would stay open as long as the server runs.
    call(control, "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg2://lab:secret@127.0.0.1:{port}/postgres"
    finally:
        call(control, "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.mark.slow
def test_on_postgresql_a_sweep_shows_and_reads_as_on_sqlite(postgres: str, store: str, log_folder: Path) -> None:
    write_events(log_folder, sweep_events(3))
    check_server(postgres)
    send(log_folder, postgres)
    send(log_folder, store)
    assert shown(postgres) == shown(store)

    for cursor in log_folder.glob("cursor-*.json"):
        assert "secret" not in cursor.read_text()
        cursor.unlink()
    send(log_folder, postgres)
    assert shown(postgres) == shown(store), "sending twice changes nothing"

    there, here = MlflowReader(postgres).sweep("a study"), MlflowReader(store).sweep("a study")
    assert there.curves(["train_loss"]).equals(here.curves(["train_loss"]))
    assert there.trials().drop(columns="run_id").equals(here.trials().drop(columns="run_id"))
