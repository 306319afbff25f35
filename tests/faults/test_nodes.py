"""Machines that go and come under a sweep: what ran on one moves to the others, and a new one is put to work."""

import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Process, finish
from tests.faults.conftest import LONG
from tests.support.kills import ended, wait_for_file, wait_until
from tests.support.simulated_machines import Machines, machines
from tests.support.trial_records import comparable_trials

pytestmark = pytest.mark.slow


def at_work(cluster: Machines, machine: Any) -> bool:
    """Whether a worker of the machine has a trial."""
    try:
        return any("Trainable" in " ".join(process.cmdline()) for process in cluster.processes(machine))
    except psutil.NoSuchProcess:
        return False


def wait_until_at_work(cluster: Machines, machine: Any, process: Process) -> None:
    wait_until(lambda: at_work(cluster, machine), process, timeout=120)


def test_a_trial_whose_node_is_lost_moves_to_another_and_ends_as_if_nothing_had_been(
    tmp_path: Path, undisturbed: Path
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
    assert comparable_trials(tmp_path / "label_lr") == comparable_trials(undisturbed)[:1]


def test_a_sweep_whose_driver_s_machine_is_lost_goes_on_from_another_cluster(tmp_path: Path, undisturbed: Path) -> None:
    """With the head, the driver and all workers there: what is left is the runs folder."""
    command = ("harness.search", *LONG, "--trials", "2", "--runs-dir", str(tmp_path))
    with machines(cpus=1) as cluster, ended(cluster.start(*command, "--address", cluster.address)) as process:
        wait_for_file(tmp_path, "label_lr/trials/1/checkpoint.pt", process)
        cluster.lose_first()
        assert finish(process).code == -9
    (_, _, whole, *_), (_, _, cut, *_) = comparable_trials(tmp_path / "label_lr")
    assert (whole, cut) == ("complete", "running")
    with machines(cpus=1) as cluster:
        result = finish(cluster.start(*command, "--address", cluster.address))
        assert result.code == 0, result.all
    assert comparable_trials(tmp_path / "label_lr") == comparable_trials(undisturbed)


def test_a_sweep_survives_the_loss_of_two_nodes_and_uses_a_node_that_joins(tmp_path: Path) -> None:
    words = ("--space", "label_lr.yaml", "--set", "epochs=30", "--set", "width=32", "--trials", "40")
    folder = tmp_path / "label_lr"
    with machines(cpus=1) as cluster:
        machine = cluster.add(cpus=1)
        command = (*words, "--address", cluster.address, "--runs-dir", str(tmp_path))
        with ended(cluster.start("harness.search", *command)) as process:
            for _ in range(2):
                wait_until_at_work(cluster, machine, process)
                time.sleep(5)  # a worker takes some seconds to begin
                cluster.lose(machine)
                machine = cluster.add(cpus=1)
            wait_until_at_work(cluster, machine, process)
            result = finish(process, timeout=400)
    assert result.code == 0, result.all
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["states"]["failed"] == 0
    assert sum(summary["states"].values()) == 40

    from harness.tracking.spool import event_log, events

    records = [record for record, _ in event_log.read_events(folder / "spool")]
    ends = [record.trial for record in records if isinstance(record, events.TrialEnded)]
    assert sorted(ends) == list(range(40)), "each ends once"
    measured = [(record.trial, record.step) for record in records if isinstance(record, events.EpochMetrics)]
    assert len(measured) == len(set(measured)), "each epoch is reported once"
