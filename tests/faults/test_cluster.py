"""Clusters of several nodes: raylets on this machine, some of them with a file system of their own."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from harness.tuning.cluster.address import ClusterError, check_address
from tests.conftest import ROOT, Result, finish, run, start
from tests.support.fork_server import ForkedCommand
from tests.support.kills import OFTEN, ended, wait_for_file, wait_until
from tests.support.ray_clusters import QUIET, alive, growing, head
from tests.support.stores import S3, names

SMALL = ("--space", "label_lr.yaml", "--set", "epochs=2", "--set", "width=16", "--trials", "3")
OPEN = {
    "RAY_AUTH_MODE": "disabled",
    "PYTHONPATH": str(ROOT),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environment = {**OPEN, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("head"))}
    with head(environment, num_cpus=2) as address:
        yield address


@contextmanager
def node(address: str, log: Path, *, own: Path | None = None, **environment: str) -> Iterator[None]:
    """One more node while this lasts; `own`: a folder that is another one to it."""
    ray = [str(Path(sys.executable).parent / "ray"), "start", f"--address={address}", "--num-cpus=1", "--block"]
    if own is not None:
        words = " ".join(ray)
        ray = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none '{own}' && exec {words}"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            ray, stdout=out, stderr=out, env={**os.environ, **QUIET, **OPEN, **environment}, start_new_session=True
        )
        try:
            wait_for(lambda: alive(address) == 2, log)
            yield
        finally:
            process.terminate()
            process.wait(30)
            wait_for(lambda: alive(address) == 1, log)


def wait_for(condition: Callable[[], bool], log: Path, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, log.read_text(errors="replace")
        time.sleep(0.1)


def reached(address: str) -> bool:
    """Whether a cluster listens there by now."""
    host, _, port = address.rpartition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


def can_unshare() -> bool:
    command = ["unshare", "--mount", "true"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


needs_unshare = pytest.mark.skipif(
    not can_unshare(), reason="needs root and unshare, for a node with a file system of its own"
)


def refused(result: Result, *words: str) -> None:
    """Assert that a command was refused in these words."""
    assert result.code == 2, result.all
    assert "Traceback" not in result.all
    for each in words:
        assert each in result.err


@pytest.mark.slow
def test_a_sweep_runs_on_two_nodes_that_share_its_folder_and_a_trial_that_fits_on_neither_is_refused(
    address: str, tmp_path: Path
) -> None:
    """The cluster wants no token; one that is here is not used."""
    command = ("harness.search", *SMALL, "--address", address, "--runs-dir", str(tmp_path / "runs"))
    needs = {
        "cpu=3": "got 3 CPUs; there is: ",  # two nodes have three together
        "memory_gib=100000": "got 1 CPU and 100000.0 GiB; there is: ",
    }
    with node(address, tmp_path / "node.log"):
        refusals = {words: run(*command, "--set", f"search.resources.{need}") for need, words in needs.items()}
        result = run(*command)
    assert result.code == 0, result.all
    assert "3/3 trials" in result.out
    assert not list(tmp_path.glob("runs/*/.shared-*"))
    for words, refusal in refusals.items():
        expected = "search.resources: expected what a node of the cluster has"
        refused(refusal, expected, words, "ask for less, add a node")


OTHER_DRIVER = """
import sys, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
@ray.remote(num_cpus=2)
class Holder:
    def hold(self): return True
holder = Holder.remote()
print(ray.get(holder.hold.remote()), flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_trial_that_waits_for_others_says_so_and_is_run_once_they_have_ended(address: str, tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_DRIVER, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **QUIET, **OPEN},
    )
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"True\n"
        command = ("tests.support.short_intervals", *SMALL, "--address", address, "--runs-dir", str(tmp_path / "runs"))
        with ended(start(*command)) as process:
            assert isinstance(process, ForkedCommand)
            wait_until(lambda: "has waited for" in process.output(), process)
            other.stdin.close()
            result = finish(process)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert result.code == 0, result.all
    assert re.search(r"learned-0 has waited for \d+ s for 1 CPU; free now: .* 0 CPUs; they come when", result.out)
    assert result.out.count("s for 1 CPU; free now") == 1
    assert "3/3 trials" in result.out


@pytest.mark.slow
@needs_unshare
def test_a_folder_or_a_store_that_a_node_does_not_see_is_refused_with_its_name(address: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    runs, store = own / "runs", own / "store"
    runs.mkdir(parents=True)
    store.mkdir()
    where = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with node(address, tmp_path / "node.log", own=own):
        of_folder, of_store = (
            run("harness.search", *SMALL, "--address", address, "--runs-dir", place, **where)
            for place in (str(runs), f"file://{store}")
        )
    refused(
        of_folder,
        "--runs-dir: expected a folder that all 2 nodes share",
        os.uname().nodename,
        "mount the same file system",
    )
    assert not list(runs.glob("*/.shared-*"))
    refused(
        of_store,
        f"--runs-dir: expected a store that all 2 nodes read and write, got file://{store}/label_lr",
        os.uname().nodename,
        "what the driver wrote cannot be read there",
        "give every node the credentials",
    )
    assert not [name for name in names(f"file://{store}") if ".shared" in name or "lock" in name]


@pytest.mark.slow
@needs_unshare
def test_a_node_that_joins_later_and_does_not_see_the_folder_ends_the_sweep_in_words(
    address: str, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    long = (*SMALL, *OFTEN, "--set", "epochs=2000", "--set", "search.pruner=none", "--concurrency", "1")
    with ended(start("harness.search", *long, "--address", address, "--runs-dir", str(runs))) as process:
        wait_for_file(runs, "*/trials/*/checkpoint.pt", process)
        with node(address, tmp_path / "node.log", own=runs):
            result = finish(process)
    refused(result, "--runs-dir: expected a folder that all 2 nodes share")


@pytest.mark.slow
@needs_unshare
def test_a_sweep_in_a_store_runs_on_two_nodes_that_share_no_folder(address: str, tmp_path: Path, s3: S3) -> None:
    own, url = tmp_path / "own", s3.url()
    own.mkdir()
    where = {"XDG_CACHE_HOME": str(own / "cache")}  # of that name on both, and to each its own
    with node(address, tmp_path / "node.log", own=own, **where):
        result = run("harness.search", *SMALL, "--address", address, "--runs-dir", url, **where)
    assert result.code == 0, result.all
    assert "3/3 trials" in result.out
    there = names(url)
    assert {f"label_lr/trials/{number}/labels.npz" for number in range(3)} <= there
    assert not [name for name in there if ".shared" in name or "lock" in name]


@pytest.mark.slow
def test_a_sweep_waits_for_the_nodes_of_a_cluster_that_grows(tmp_path: Path) -> None:
    waiting = ("search.concurrency=2", "search.resources={gpu: 0, wait_for_nodes: true}")
    with head(OPEN, num_cpus=0) as address:
        command = (*SMALL, *(word for one in waiting for word in ("--set", one)), "--address", address)
        with ended(start("harness.search", *command, "--runs-dir", str(tmp_path / "runs"))) as process:
            wait_for_file(tmp_path / "runs", "*/trials", process)
            with node(address, tmp_path / "node.log"):
                result = finish(process)
    assert result.code == 0, result.all
    assert "3/3 trials" in result.out


@pytest.mark.slow
def test_an_autoscaler_brings_nodes_for_a_sweep_and_takes_them_away_after_it(tmp_path: Path) -> None:
    waiting = ("search.concurrency=2", "search.resources={gpu: 0, wait_for_nodes: true}")
    words = (*SMALL, *(word for one in waiting for word in ("--set", one)), "--trials", "6")
    log, most = tmp_path / "head.log", 0
    with growing(tmp_path, cpus=1, most=2, idle_seconds=6) as address:
        wait_for(lambda: reached(address) and alive(address) == 1, log)
        command = (*words, "--address", address, "--runs-dir", str(tmp_path / "runs"))
        with ended(start("harness.search", *command)) as process:
            while process.poll() is None:
                most = max(most, alive(address) - 1)
                time.sleep(0.5)
            result = finish(process)
        wait_for(lambda: alive(address) == 1, log)
    assert result.code == 0, result.all
    assert "6/6 trials" in result.out
    assert most == 2


@pytest.mark.parametrize(
    ("token", "words"),
    [(None, "one that wants a token, and there is none here"), ("0" * 64, "one that wants another token")],
)
def test_a_cluster_that_wants_a_token_is_refused_without_it(
    ray_address: str, tmp_path: Path, token: str | None, words: str
) -> None:
    file = tmp_path / "home" / ".ray" / "auth_token"
    file.parent.mkdir(parents=True)
    if token is not None:
        file.write_text(token)
    runs = tmp_path / "runs"
    command = ("harness.search", *SMALL, "--address", ray_address, "--runs-dir", str(runs))
    result = run(*command, HOME=str(tmp_path / "home"))
    refused(result, f"--address {ray_address}: expected a Ray cluster, got: {words}", "~/.ray/auth_token")
    assert not runs.exists()


def test_a_server_other_than_a_cluster_is_refused(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        result = run("harness.search", *SMALL, "--address", address, "--runs-dir", str(tmp_path / "runs"))
        server.shutdown()
    refused(result, f"--address {address}: expected a Ray cluster, got: something that does not answer as one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://127.0.0.1:8265", "127.0.0.1", "a:b", ":1"])
def test_an_invalid_head_address_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match=f"--address: expected auto or HOST:PORT, got '{address}'"):
        check_address(address)
