"""Nodes that go and come under a sweep: what ran on one moves to the others, and a new one is put to work.

Nodes are Ray's own, each with its raylet and its workers, on this one machine; one is lost by a SIGKILL of all these.
"""

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.space import load
from harness.tuning.ledger import entries_of
from tests.conftest import finish, start
from tests.kills import OFTEN, ended, wait_for_file

pytestmark = pytest.mark.slow


@contextmanager
def started(cpus: int) -> Iterator[Any]:
    """A head with so many CPUs, which the sweep's driver joins."""
    from ray.cluster_utils import Cluster

    joined = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    try:
        yield joined
    finally:
        joined.shutdown()


@pytest.fixture
def cluster() -> Iterator[Any]:
    with started(cpus=1) as cluster:
        yield cluster


def raylet(node: Any) -> psutil.Process:
    (started,) = node.all_processes["raylet"]
    return psutil.Process(started.process.pid)


def lose(node: Any) -> None:
    """As where the machine goes: its workers too, which else finish what they are at."""
    manager = raylet(node)
    for process in (*manager.children(recursive=True), manager):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def at_work(node: Any) -> bool:
    """Whether a worker of the node has a trial."""
    try:
        names = [" ".join(process.cmdline()) for process in raylet(node).children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    return any("Trainable" in name for name in names)


def wait_until_at_work(node: Any, process: Any, timeout: float = 120) -> None:
    until = time.monotonic() + timeout
    while not at_work(node):
        assert process.poll() is None, finish(process).all
        assert time.monotonic() < until, f"nothing ran on the node within {timeout} s"
        time.sleep(0.05)


def entries(runs: Path) -> list[Any]:
    folder = runs / "label_lr"
    return list(entries_of(folder / "study.journal", load(folder / "space.yaml")))


def test_a_trial_whose_node_is_lost_moves_to_another_and_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    words = ("--space", "label_lr.yaml", "--set", "epochs=250", "--set", "width=64", "--set", "search.pruner=none")
    one = (*words, *OFTEN, "--set", "baselines={}", "--trials", "1")
    calm, moved = tmp_path / "calm", tmp_path / "moved"
    with started(cpus=0) as cluster:  # trials are on the other nodes
        node = cluster.add_node(num_cpus=1)
        result = finish(start("harness.search", *one, "--address", cluster.address, "--runs-dir", str(calm)))
        assert result.code == 0, result.all
        with ended(start("harness.search", *one, "--address", cluster.address, "--runs-dir", str(moved))) as process:
            wait_for_file(moved, "label_lr/trials/0/checkpoint.pt", process)
            lose(node)
            wait_until_at_work(cluster.add_node(num_cpus=1), process)
            result = finish(process)
    assert result.code == 0, result.all
    (undisturbed,), (ended_elsewhere,) = entries(calm), entries(moved)
    assert len(ended_elsewhere.curve) == 250
    assert (ended_elsewhere.state, ended_elsewhere.curve) == (undisturbed.state, undisturbed.curve)


def test_sixty_trials_survive_the_loss_of_nodes_and_a_node_that_joins_is_used(tmp_path: Path, cluster: Any) -> None:
    moments = random.Random(60)
    words = ("--space", "label_lr.yaml", "--set", "epochs=30", "--set", "width=32", "--trials", "60")
    command = (*words, "--address", cluster.address, "--runs-dir", str(tmp_path))
    folder = tmp_path / "label_lr"
    nodes = [cluster.add_node(num_cpus=1)]
    with ended(start("harness.search", *command)) as process:
        for _ in range(2):
            wait_until_at_work(nodes[-1], process)
            time.sleep(moments.uniform(4, 8))  # a worker takes some seconds to begin
            lose(nodes[-1])
            nodes.append(cluster.add_node(num_cpus=1))
        wait_until_at_work(nodes[-1], process)
        result = finish(process, timeout=400)
    assert result.code == 0, result.all
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["states"]["failed"] == 0
    assert sum(summary["states"].values()) == 60

    from harness.tracking import spool

    records = [record for record, _ in spool.read(folder / "spool")]
    ends = [record.trial for record in records if isinstance(record, spool.TrialEnded)]
    assert sorted(ends) == list(range(60)), "each ends once"
    measured = [(record.trial, record.step) for record in records if isinstance(record, spool.Measured)]
    assert len(measured) == len(set(measured)), "each epoch is told once"
