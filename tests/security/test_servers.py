"""What listens here answers this machine alone, unless told."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness import dashboard
from tests.conftest import ROOT
from tests.security.conftest import finished

LISTENING = """
import sys, psutil
from pathlib import Path
from harness.tuning.cluster import joined
with joined(None, Path(sys.argv[1])):
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        for each in process.net_connections("inet"):
            if each.status == "LISTEN":
                print(each.laddr.ip)
"""


def test_the_dashboard_answers_this_machine_alone(tmp_path: Path) -> None:
    with dashboard.server(finished(tmp_path), 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_mlflow_s_pages_answer_this_machine_alone() -> None:
    done = subprocess.run(["make", "-n", "ui"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--host 127.0.0.1" in done.stdout


@pytest.mark.slow
def test_a_ray_that_is_started_here_answers_this_machine_alone(tmp_path: Path) -> None:
    asked = [sys.executable, "-c", LISTENING, str(tmp_path)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    heard = [address.removeprefix("::ffff:") for address in done.stdout.split()]
    assert len(heard) > 3
    assert {address for address in heard if not socket.inet_aton(address).startswith(b"\x7f")} == set()


@pytest.mark.parametrize("module", ["crew", "cluster", "jobs", "shared", "sweep"])
def test_whatever_imports_ray_first_a_cluster_is_shown_the_token_that_there_is(tmp_path: Path, module: str) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0" * 64)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    code = f"import harness.tuning.{module}, os, ray; print(os.environ.get('RAY_AUTH_MODE'))"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "token\n"
