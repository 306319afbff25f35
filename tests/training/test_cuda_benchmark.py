"""The script of all that needs a GPU names each part, and leaves out what there is no time for."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_parts_that_there_is_no_time_for_are_named(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/cuda.py", "--toy", "--minutes", "0", "--out", str(tmp_path)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    parts = ["same", "speed", "sharing", "meta_step", "tests", "rest"]
    titles = [line.removeprefix("## ").partition(":")[0] for line in shown.splitlines() if line.startswith("## ")]
    assert list(dict.fromkeys(titles)) == parts
    assert shown.count("left out: no time is left") == len(titles)
