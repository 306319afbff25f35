"""`--dry-run` says how long a sweep takes: by identities, and beside a sweep on a cluster of pretended GPUs."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.search.forecast import TrialTiming, forecast
from harness.search.plan import STARTUP_SECONDS, machine_capacity
from harness.space import Resources, Space, load
from tests.conftest import ROOT, run
from tests.support.ray_clusters import head

SLEEPY = """
import time
from torch import nn

class Sleepy(nn.Linear):
    def forward(self, inputs):
        time.sleep(0.1)
        return super().forward(inputs.flatten(1))

def net(shape, classes, width):
    channels, height, breadth = shape
    return Sleepy(channels * height * breadth, classes)
"""


def space(*overrides: str) -> Space:
    return load("label_lr.yaml", ["epochs=10", "search.trials=12", *overrides])


EVEN = {name: TrialTiming(2.0, 1.0) for name in ("learned", "one_hot", "label_smoothing")}


@pytest.mark.parametrize(
    ("need", "cores", "gpus", "expected"),
    [
        ({}, 2, 0, ("2 cores", 2)),
        ({"cpu": 1.5}, 1, 0, ("1 core", 0)),
        ({"gpu": 0.5}, 2, 0, ("2 cores", 2)),
        ({}, 16, 1, ("16 cores and 1 GPU", 1)),
        ({"gpu": 0.1}, 16, 2, ("16 cores and 2 GPUs", 16)),
        ({"gpu": 0.1, "cpu": 2}, 16, 2, ("16 cores and 2 GPUs", 8)),
        ({"gpu": 0.125}, 16, 1, ("16 cores and 1 GPU", 8)),
        ({"gpu": 0}, 16, 1, ("16 cores", 16)),
    ],
)
def test_a_machine_has_room_by_its_cores_and_its_gpus(
    need: dict[str, float], cores: int, gpus: int, expected: tuple[str, int]
) -> None:
    assert machine_capacity(Resources(**need), cores, gpus) == expected


def test_a_worker_alone_takes_the_sum_of_all_trials() -> None:
    alone = forecast(space("search.pruner=none"), EVEN, 1, 5.0)
    assert alone == pytest.approx(5 + 12 * (10 * 2 + 1 + 0.2))


@pytest.mark.parametrize("workers", [2, 3, 5, 12, 40])
def test_workers_share_the_same_work(workers: int) -> None:
    rounds = -(-12 // workers)
    assert forecast(space("search.pruner=none"), EVEN, workers, 0.0) == pytest.approx(rounds * 21.2)


def test_a_pruner_saves_epochs_beyond_its_first_rung_alone() -> None:
    whole = forecast(space("search.trials=60", "search.pruner=none"), EVEN, 1, 0.0)
    halved = forecast(space("search.trials=60", "search.pruner=successive_halving"), EVEN, 1, 0.0)
    assert 0.4 * whole < halved < whole, "the first rung is at two fifths"


def test_a_time_budget_ends_it() -> None:
    assert forecast(space("search.time_budget_seconds=30"), EVEN, 2, 4.0) == 34


@pytest.fixture
def cluster_address(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster with as many CPUs as this machine; its workers find the model of this test."""
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    with head({"PYTHONPATH": str(tmp_path)}, num_cpus=os.cpu_count() or 1) as address:
        yield address


@pytest.mark.slow
@pytest.mark.alone
def test_a_sweep_takes_what_was_forecast(cluster_address: str, tmp_path: Path) -> None:
    """Its model sleeps, so that trials do not slow one another down; Ray's start is left out."""
    settings = ("epochs=10", "model=sleepy:net", "device=cpu", "train_size=320", "search.trials=12")
    pruned = ("search.pruner=successive_halving", "search.seed=3")
    asked = ("--space", "label_lr.yaml", *(word for setting in (*settings, *pruned) for word in ("--set", setting)))
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    plan = run("harness.search", *asked, "--dry-run", PYTHONPATH=path)
    assert plan.code == 0, plan.all
    expected = re.search(r": about (\d+) s", plan.out)
    assert expected is not None, plan.out
    runs = tmp_path / "runs"
    result = run("harness.search", *asked, "--address", cluster_address, "--runs-dir", str(runs), PYTHONPATH=path)
    assert result.code == 0, result.all
    first = re.search(r"first result after (\S+) s", result.out)
    assert first is not None, result.out
    took = json.loads((runs / "label_lr" / "summary.json").read_text())["wall_seconds"]
    assert took - float(first[1]) == pytest.approx(int(expected[1]) - STARTUP_SECONDS, rel=0.2), plan.out + result.out
