"""The benchmark of trials side by side runs them, counts what they did, and writes what it prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_trials_side_by_side_are_counted_together(tmp_path: Path) -> None:
    written = tmp_path / "sharing.json"
    size = ["--width", "2", "--batch", "64", "--images", "64", "--seconds", "0.1"]
    command = [sys.executable, "benchmarks/sharing.py", *size, "--beside", "1", "2", "--arm", "learned, interval 5"]
    run = subprocess.run(
        [*command, "--json", str(written)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(written.read_text())
    alone, two = (found["arms"]["learned, interval 5, graph auto"][count] for count in ("1", "2"))
    assert alone["slowest_over_mean"] == 1
    assert 0 < two["slowest_over_mean"] <= 1
    assert found["provenance"]["deterministic"]
    assert f"| 2 | {two['images_per_second']:,.0f} | {two['images_per_second'] / alone['images_per_second']:.2f} |" in (
        run.stdout
    )
