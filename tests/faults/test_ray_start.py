"""Ray that does not start, and a head that dies: words with a remedy and the place of Ray's logs."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
import ray

from harness.space import Resources
from harness.tuning.cluster import ray_internals
from harness.tuning.cluster.address import ClusterError
from harness.tuning.cluster.cluster import join_cluster
from tests.conftest import ROOT, finish, run, start
from tests.support.kills import ended, wait_for_file
from tests.support.ray_clusters import head

LONG = ("--space", "label_lr.yaml", "--set", "epochs=5000", "--set", "search.pruner=none", "--trials", "2")
TIMED_OUT = (
    "The current node timed out during startup. This could happen because some of the raylet failed to startup or the "
    "GCS has become overloaded."
)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (TIMED_OUT, "GCS has become overloaded; this machine may be too busy, or have too little memory: try again"),
        ("Attempting to cap object store memory usage", "make room in /dev/shm"),
        ("bind: Address already in use", "another program may hold a port"),
        ("no words of ours", "could not be started here: no words of ours; its logs are in /"),
    ],
)
def test_why_ray_did_not_start_is_told_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, message: str, words: str
) -> None:
    def fail(**_: object) -> None:
        raise Exception(message)  # as Ray raises it

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray_internals.worker, "_global_node", None)  # other tests may have started one here
    with TemporaryDirectory() as short:  # pytest's folder is too long for Ray's sockets
        monkeypatch.setenv("RAY_TMPDIR", short)
        logs = Path(short, "ray", f"session_2026-01-31_23-59-59_123456_{os.getpid()}", "logs")
        logs.mkdir(parents=True)
        Path(short, "ray", "session_2026-02-01_00-00-00_123456_1", "logs").mkdir(parents=True)
        with pytest.raises(ClusterError, match="the Ray cluster could not be started here: ") as error:
            join_cluster(None, tmp_path, Resources()).__enter__()
    assert words in str(error.value)
    assert str(error.value).endswith(f"its logs are in {logs}"), "those of this process, not of another's Ray"
    assert "\n" not in str(error.value)


NICENESS = """
import os, sys, ray
from pathlib import Path
from harness.space import Resources
from harness.tuning.cluster.cluster import join_cluster
with join_cluster(sys.argv[1] if len(sys.argv) > 1 else None, Path("/tmp"), Resources(niceness=3), 1):
    print(ray.get(ray.remote(num_cpus=0)(lambda: os.nice(0)).remote()))
"""


@pytest.mark.slow
def test_workers_have_the_niceness_of_the_space_here_and_on_a_cluster() -> None:
    environment = {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}
    with head(environment, num_cpus=1) as address:
        for arguments in ([], [address]):
            program = [sys.executable, "-c", NICENESS, *arguments]
            told = subprocess.run(
                program, env={**os.environ, **environment}, capture_output=True, text=True, check=True
            )
            assert told.stdout.strip() == "3"


@pytest.mark.slow
def test_a_worker_that_starts_slowly_is_told_while_it_starts(tmp_path: Path) -> None:
    """Its model's module sleeps on import, but not in the process that tries it first."""
    (tmp_path / "slow_network.py").write_text(
        "import sys, time\n"
        "time.sleep(12 * any('worker' in each for each in sys.argv))\n"
        "from harness.training.models.small_networks import mlp as network\n"
    )
    small = ("--set", "epochs=1", "--set", "width=8", "--trials", "1", "--concurrency", "1")
    settings = ("--set", "model=slow_network:network", "--runs-dir", "runs")
    result = run("tests.support.short_intervals", "--space", "label_lr.yaml", *small, *settings, cwd=tmp_path)
    assert result.code == 0, result.all
    told, _, after = result.out.partition(" for its worker to start, ")
    told = told if after else result.out.partition(" for its worker to start: this machine is busy")[0]
    assert told.splitlines()[-1].startswith("learned-0 has waited for "), result.all
    assert "first result after" not in told


@pytest.mark.slow
def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("harness.search", *LONG, "--runs-dir", str(tmp_path / "runs"), RAY_GCS_SERVER_PORT=port)
    assert result.code == 2, result.all
    assert (
        "the Ray cluster could not be started here: Failed to start GCS; another program may hold a port" in result.err
    )
    assert len(result.err.splitlines()) == 1, result.err
    logs = Path(result.err.partition("its logs are in ")[2].strip())
    assert list(logs.glob("gcs_server*")), logs


@pytest.mark.slow
def test_a_head_that_dies_ends_the_driver_in_words(tmp_path: Path) -> None:
    with head({"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}, num_cpus=1) as address:
        command = ("tests.support.short_intervals", *LONG, "--address", address, "--runs-dir", str(tmp_path))
        with ended(start(*command)) as process:
            wait_for_file(tmp_path, "label_lr/trials/*/checkpoint.pt", process)
            port = int(address.rpartition(":")[2])
            (server,) = {c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port}
            os.kill(server or 0, 9)
            result = finish(process)
    assert result.code == 3, result.all
    assert f"the Ray cluster at {address}: expected its head to answer, got nothing for 8 s" in result.err
    assert "Traceback" not in result.all
