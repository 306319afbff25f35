"""Machines that go and come under a sweep: what ran on one moves to the others, and a new one is put to work."""

import json
import random
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.space import load
from harness.tuning.ledger import entries_of
from tests.conftest import finish
from tests.kills import OFTEN, ended, wait_for_file
from tests.machines import Machines, machines

pytestmark = pytest.mark.slow

LONG = (
    *("--space", "label_lr.yaml", "--set", "epochs=250", "--set", "width=64", "--set", "search.pruner=none"),
    *("--set", "baselines={}", *OFTEN),
)
"""Trials of one arm that are still at work when something is lost."""


def at_work(cluster: Machines, machine: Any) -> bool:
    """Whether a worker of the machine has a trial."""
    try:
        return any("Trainable" in " ".join(process.cmdline()) for process in cluster.processes(machine))
    except psutil.NoSuchProcess:
        return False


def wait_until_at_work(cluster: Machines, machine: Any, process: Any, timeout: float = 120) -> None:
    until = time.monotonic() + timeout
    while not at_work(cluster, machine):
        assert process.poll() is None, finish(process).all
        assert time.monotonic() < until, f"nothing ran on the machine within {timeout} s"
        time.sleep(0.1)


def entries(runs: Path) -> list[Any]:
    folder = runs / "label_lr"
    return list(entries_of(folder / "study.journal", load(folder / "space.yaml")))


def test_a_trial_whose_node_is_lost_moves_to_another_and_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    one = (*LONG, "--trials", "1")
    calm, moved = tmp_path / "calm", tmp_path / "moved"
    with machines(cpus=0) as cluster:  # trials are on the others
        machine = cluster.add(cpus=1)
        command = ("harness.search", *one, "--address", cluster.address)
        result = finish(cluster.start(*command, "--runs-dir", str(calm)))
        assert result.code == 0, result.all
        with ended(cluster.start(*command, "--runs-dir", str(moved))) as process:
            wait_for_file(moved, "label_lr/trials/0/checkpoint.pt", process)
            cluster.lose(machine)
            wait_until_at_work(cluster, cluster.add(cpus=1), process)
            result = finish(process)
    assert result.code == 0, result.all
    (undisturbed,), (ended_elsewhere,) = entries(calm), entries(moved)
    assert len(ended_elsewhere.curve) == 250
    assert (ended_elsewhere.state, ended_elsewhere.curve) == (undisturbed.state, undisturbed.curve)


def test_a_sweep_whose_driver_s_machine_is_lost_goes_on_from_another_cluster(tmp_path: Path) -> None:
    """With the head, the driver and all workers there: what is left is the runs folder."""
    two = (*LONG, "--set", "search.sampler=random", "--trials", "2", "--concurrency", "1")
    with machines(cpus=1) as cluster:
        command = ("harness.search", *two, "--address", cluster.address)
        with ended(cluster.start(*command, "--runs-dir", str(tmp_path / "lost"))) as process:
            wait_for_file(tmp_path, "lost/label_lr/trials/1/checkpoint.pt", process)
            cluster.lose_first()
            assert finish(process).code == -9
    (whole, cut) = entries(tmp_path / "lost")
    assert (whole.state, cut.state) == ("complete", "running")
    with machines(cpus=1) as cluster:
        command = ("harness.search", *two, "--address", cluster.address)
        for runs in ("lost", "calm"):
            result = finish(cluster.start(*command, "--runs-dir", str(tmp_path / runs)))
            assert result.code == 0, result.all
    told = [
        [(each.number, each.state, each.params, each.curve) for each in entries(tmp_path / runs)]
        for runs in ("lost", "calm")
    ]
    assert told[0] == told[1]
    assert len(told[0]) == 2


def test_sixty_trials_survive_the_loss_of_nodes_and_a_node_that_joins_is_used(tmp_path: Path) -> None:
    moments = random.Random(60)
    words = ("--space", "label_lr.yaml", "--set", "epochs=30", "--set", "width=32", "--trials", "60")
    folder = tmp_path / "label_lr"
    with machines(cpus=1) as cluster:
        machine = cluster.add(cpus=1)
        command = (*words, "--address", cluster.address, "--runs-dir", str(tmp_path))
        with ended(cluster.start("harness.search", *command)) as process:
            for _ in range(2):
                wait_until_at_work(cluster, machine, process)
                time.sleep(moments.uniform(4, 8))  # a worker takes some seconds to begin
                cluster.lose(machine)
                machine = cluster.add(cpus=1)
            wait_until_at_work(cluster, machine, process)
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
