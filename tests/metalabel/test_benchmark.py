"""The benchmark runs, finds its methods in agreement, and writes what it prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def meta_step(*arguments: str) -> str:
    """What the benchmark prints about the smallest workload."""
    command = [sys.executable, "benchmarks/meta_step.py", "--workload", "mlp", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_the_benchmark_compares_methods_that_agree(tmp_path: Path) -> None:
    written = tmp_path / "meta_step.json"
    printed = meta_step("--rounds", "2", "--no-memory", "--json", str(written))
    numbers = json.loads(written.read_text())["workloads"]["mlp"]
    assert "fastest peer ÷ forward" in printed
    assert set(numbers["over_plain"]) >= {"forward", "forward recompute", "double backward", "functional_call"}
    assert all(low > 1 for low, _, _ in numbers["over_plain"].values())  # a meta-step holds a plain step
    # float32 keeps 1e-7 of each number; entries are differences of larger ones.
    assert numbers["relative_error"]["forward"] < 1e-4


@pytest.mark.slow
def test_the_memory_of_a_step_is_measured_in_a_process_of_its_own() -> None:
    assert float(meta_step("--memory-of", "forward")) > 0
