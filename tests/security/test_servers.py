"""Servers started here listen on this machine alone by default."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness import dashboard, ui
from tests.conftest import ROOT
from tests.security.conftest import finished

LISTENING = """
import sys, psutil
from pathlib import Path
from harness.space import Resources
from harness.tuning.cluster.cluster import join_cluster
with join_cluster(None, Path(sys.argv[1]), Resources()):
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        for each in process.net_connections("inet"):
            if each.status == "LISTEN":
                print(each.laddr.ip)
"""


def test_the_dashboard_answers_this_machine_alone(tmp_path: Path) -> None:
    with dashboard.make_dashboard(finished(tmp_path), 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_mlflow_s_pages_answer_this_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.execv", lambda program, words: (started.append(words), sys.exit()))
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(SystemExit):
        ui.main(["--runs-dir", str(tmp_path)])
    assert "--host 127.0.0.1" in " ".join(started[0])
    made = subprocess.run(["make", "-n", "ui"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "-m harness.ui" in made.stdout


@pytest.mark.slow
def test_a_ray_that_is_started_here_answers_this_machine_alone(tmp_path: Path) -> None:
    asked = [sys.executable, "-c", LISTENING, str(tmp_path)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    heard = [address.removeprefix("::ffff:") for address in done.stdout.split()]
    assert len(heard) > 3
    assert {address for address in heard if not socket.inet_aton(address).startswith(b"\x7f")} == set()
