"""What fits on a node: by cores, by GPUs, by memory, and never over two nodes."""

import re

import pytest

from harness.space import Resources, SpaceError, parse
from harness.tuning.cluster.capacity import describe_nodes, ray_resources, trials_on_node
from tests.tuning.conftest import SPACE

GIB = 2**30
NODE = {"CPU": 8.0, "GPU": 2.0, "memory": 16.0 * GIB, "accelerator_type:H100": 1.0}


@pytest.mark.parametrize(
    ("need", "fits"),
    [
        ({}, 8),
        ({"cpu": 3}, 2),
        ({"cpu": 9}, 0),
        ({"cpu": 0.0001}, 80_000),
        ({"gpu": 1}, 2),
        ({"gpu": 0.5}, 4),
        ({"gpu": 0.4}, 4),  # two on each GPU
        ({"gpu": 0.6}, 2),  # one on each: a share does not span two
        ({"gpu": 2}, 1),
        ({"gpu": 3}, 0),
        ({"memory_gib": 4}, 4),
        ({"memory_gib": 1000}, 0),
        ({"accelerator": "H100"}, 8),
        ({"accelerator": "A100"}, 0),
    ],
)
def test_trials_on_a_node(need: dict[str, float | str], fits: int) -> None:
    assert trials_on_node(Resources(**need), NODE) == fits  # type: ignore[arg-type]


def test_nodes_are_described_by_what_a_trial_needs_and_the_rest_is_counted() -> None:
    needed = ray_resources(Resources(cpu=3, memory_gib=2))
    nodes = {f"n{number}": {"CPU": number, "GPU": 1.0, "memory": 1.5 * GIB} for number in range(1, 8)}
    assert describe_nodes(nodes, needed, shown=2) == (
        "n1 1 CPU, 1 GPU and 1.5 GiB; n2 2 CPUs, 1 GPU and 1.5 GiB; 5 more nodes"
    )
    assert describe_nodes({}, needed) == "no node"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("cpu=0.00001", "search.resources.cpu: expected a number of at least 0.0001"),
        ("gpu=0.00001", "search.resources.gpu: expected 0, or a share from 0.0001 up, got 1e-05; write 0.0001"),
        ("gpu=1.5", "search.resources.gpu: expected whole GPUs, or a share of one, got 1.5; write 1 or 2"),
        ("niceness=20", "search.resources.niceness: expected a number of at most 19"),
        ("niceness=-1", "search.resources.niceness: expected a number of at least 0"),
    ],
)
def test_what_ray_cannot_count_is_refused_by_the_space(setting: str, words: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(words)):
        parse(SPACE, "toy.yaml", [f"search.resources.{setting}"])
