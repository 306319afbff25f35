"""Machines that go and come under a sweep: what ran on one moves to the others, and a new one is put to work."""

import json
import random
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import finish, run
from tests.support.kills import OFTEN, ended, wait_for_file
from tests.support.machines import Machines, machines
from tests.support.outcomes import told

pytestmark = pytest.mark.slow

LONG = (
    *("--space", "label_lr.yaml", "--set", "epochs=250", "--set", "width=64", "--set", "search.pruner=none"),
    *("--set", "baselines={}", "--set", "search.sampler=random", "--concurrency", "1", *OFTEN),
)
"""Trials of one arm, one after the other, that are still at work when something is lost."""


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


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> list[tuple[Any, ...]]:
    """What two trials come to where nothing is lost."""
    runs = tmp_path_factory.mktemp("calm")
    result = run("harness.search", *LONG, "--trials", "2", "--address", ray_address, "--runs-dir", str(runs))
    assert result.code == 0, result.all
    undisturbed = told(runs / "label_lr")
    assert [len(curve) for *_, curve in undisturbed] == [250, 250]
    return undisturbed


def test_a_trial_whose_node_is_lost_moves_to_another_and_ends_as_if_nothing_had_been(
    tmp_path: Path, calm: list[tuple[Any, ...]]
) -> None:
    with machines(cpus=0) as cluster:  # trials are on the others
        machine = cluster.add(cpus=1)
        command = ("harness.search", *LONG, "--trials", "1", "--address", cluster.address)
        with ended(cluster.start(*command, "--runs-dir", str(tmp_path))) as process:
            wait_for_file(tmp_path, "label_lr/trials/0/checkpoint.pt", process)
            cluster.lose(machine)
            wait_until_at_work(cluster, cluster.add(cpus=1), process)
            result = finish(process)
    assert result.code == 0, result.all
    assert told(tmp_path / "label_lr") == calm[:1]


def test_a_sweep_whose_driver_s_machine_is_lost_goes_on_from_another_cluster(
    tmp_path: Path, calm: list[tuple[Any, ...]]
) -> None:
    """With the head, the driver and all workers there: what is left is the runs folder."""
    command = ("harness.search", *LONG, "--trials", "2", "--runs-dir", str(tmp_path))
    with machines(cpus=1) as cluster, ended(cluster.start(*command, "--address", cluster.address)) as process:
        wait_for_file(tmp_path, "label_lr/trials/1/checkpoint.pt", process)
        cluster.lose_first()
        assert finish(process).code == -9
    (_, _, whole, *_), (_, _, cut, *_) = told(tmp_path / "label_lr")
    assert (whole, cut) == ("complete", "running")
    with machines(cpus=1) as cluster:
        result = finish(cluster.start(*command, "--address", cluster.address))
        assert result.code == 0, result.all
    assert told(tmp_path / "label_lr") == calm


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

    from harness.tracking.spool import event_log, events

    records = [record for record, _ in event_log.read_events(folder / "spool")]
    ends = [record.trial for record in records if isinstance(record, events.TrialEnded)]
    assert sorted(ends) == list(range(60)), "each ends once"
    measured = [(record.trial, record.step) for record in records if isinstance(record, events.EpochMetrics)]
    assert len(measured) == len(set(measured)), "each epoch is told once"
