"""Trials that share a GPU: their memory limit, and the check before the first. No GPU is needed."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from harness.space import Resources
from harness.tuning.worker import runner
from tests.conftest import ROOT, run
from tests.support.faulty_network import GOOD, GREEDY
from tests.support.ray_clusters import head

SPACE = """
study: shared
fixed: {dataset: digits, model: "tests.support.faulty_network:network", epochs: 1}
arms:
  ours:
    method: one_hot
    parameters:
      width: {type: categorical, choices: [WIDTH]}
search: {trials: 1, resources: {gpu: 0.5}}
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with head({"PYTHONPATH": str(ROOT)}, num_cpus=1, num_gpus=1) as address:
        yield address


@pytest.mark.slow
def test_a_share_that_a_trial_does_not_fit_into_is_refused_before_the_first(tmp_path: Path, address: str) -> None:
    space = tmp_path / "shared.yaml"
    space.write_text(SPACE.replace("WIDTH", str(GREEDY)))
    words = ("--space", str(space), "--address", address, "--runs-dir", str(tmp_path / "runs"))
    result = run("harness.search", *words)
    assert result.code == 2, result.all
    assert "search.resources.gpu: expected a share that a trial fits into, got 0.5, and of the arm 'ours'" in result.err
    assert "memory ran out (CUDA out of memory. Tried to allocate 20.00 GiB.)" in result.err
    assert "Traceback" not in result.all
    assert not (tmp_path / "runs" / "shared").exists()

    space.write_text(SPACE.replace("WIDTH", str(GOOD)))
    result = run("harness.search", *words, "--name", "small")
    assert result.code == 0, result.all


@pytest.mark.parametrize(("gpu", "held"), [(0.5, [0.5 - 0.8 / 80]), (0.005, [0.01]), (1.0, []), (2.0, []), (0.0, [])])
def test_a_worker_is_held_to_its_share_of_the_memory(
    monkeypatch: pytest.MonkeyPatch, gpu: float, held: list[float]
) -> None:
    asked: list[float] = []
    whole = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: whole)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", asked.append)
    runner.configure_process(Resources(cpu=torch.get_num_threads(), gpu=gpu), "")
    assert asked == pytest.approx(held)
