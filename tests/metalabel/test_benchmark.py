"""The benchmark runs, finds its methods in agreement, and writes what it prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_benchmark_compares_methods_that_agree(tmp_path: Path) -> None:
    written = tmp_path / "meta_step.json"
    command = [sys.executable, "benchmarks/meta_step.py", "--workload", "mlp", "--rounds", "2", "--json", str(written)]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    numbers = json.loads(written.read_text())["workloads"]["mlp"]
    assert "fastest peer ÷ forward" in run.stdout
    assert set(numbers["over_plain"]) >= {"forward", "forward recompute", "double backward", "functional_call"}
    assert all(low > 1 for low, _, _ in numbers["over_plain"].values())  # a meta-step holds a plain step
    # float32 keeps 1e-7 of each number; entries are differences of larger ones.
    assert numbers["relative_error"]["forward"] < 1e-4
