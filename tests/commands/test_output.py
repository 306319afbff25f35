"""Standard output that is full, closed, or of an encoding that lacks our characters: commands end as they would."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SINKS = ("> /dev/full", "> /dev/full 2>&1", "| head -1 > /dev/null", ">&-", ">&- 2>&-")
RUN = ("harness.train", "--space", "label_lr.yaml", *("--set", "epochs=3", "--set", "width=8", "--set", "label_lr=0.1"))
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def code_and_errors(command: tuple[str, ...], sink: str, **environment: str) -> tuple[int, str]:
    """The exit code of a command whose output goes to `sink` in a shell, and what comes to standard error."""
    line = f"{shlex.join([sys.executable, '-m', *command])} {sink}; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, encoding="latin-1", env=environment, cwd=ROOT, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("sink", SINKS)
def test_a_command_without_output_ends_with_its_exit_code(sink: str) -> None:
    assert code_and_errors(("harness",), sink) == (0, "")
    assert code_and_errors(("harness.space",), sink) == (0, "")
    assert code_and_errors(("harness.search", "--help"), sink) == (0, "")
    code, errors = code_and_errors(("harness.report", "missing"), sink)
    assert code == 2
    assert errors.startswith("NAME: expected a sweep in runs/" if "2>" not in sink else "")


def test_a_run_goes_on_without_its_output() -> None:
    assert code_and_errors((*RUN, "--set", "lr=0.1"), "| head -1 > /dev/null") == (0, "")
    code, errors = code_and_errors((*RUN, "--set", "lr=1.0e+30"), "> /dev/full")
    assert (code, errors[:10]) == (1, "diverged: ")


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["> /dev/full 2>&1", "| head -1 > /dev/null"])
def test_a_sweep_goes_on_without_its_output(sink: str, tmp_path: Path, ray_address: str) -> None:
    small = ("--set", "epochs=2", "--set", "width=8", "--trials", "3")
    search = ("harness.search", "--space", "label_lr.yaml", *small, "--address", ray_address)
    assert code_and_errors((*search, "--runs-dir", str(tmp_path)), sink) == (0, "")
    summary = json.loads((tmp_path / "label_lr" / "summary.json").read_text(encoding="utf-8"))
    assert sum(summary["states"].values()) == 3
    assert summary["mlflow"]["pending"] == 0


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "latin-1"}, C_LOCALE], ids=["latin-1", "C"])
def test_a_character_that_the_terminal_lacks_is_replaced(environment: dict[str, str]) -> None:
    assert code_and_errors(("harness.space",), "> /dev/null", **environment) == (0, "")
    code, errors = code_and_errors(("harness.train", "--space", "café…"), "", **environment)
    assert code == 2
    assert ": expected a readable file, got nothing of that name" in errors


def test_marks_that_the_terminal_lacks_are_spelled() -> None:
    code, errors = code_and_errors(("harness.train", "--space", "none→…·×.yaml"), "", PYTHONIOENCODING="latin-1")
    assert (code, "none->...·×.yaml: expected" in errors) == (2, True), errors


def test_a_dry_run_on_an_ascii_terminal_has_no_character_that_is_a_mere_mark() -> None:
    search = ("harness.search", "--space", "label_lr.yaml", "--dry-run")
    code, shown = code_and_errors(search, ">&2", PYTHONIOENCODING="ascii")
    assert code == 0, shown
    assert "60 trials of learned, one_hot, label_smoothing -> runs/label_lr" in shown
    assert "digits | 1,797 images" in shown
    assert "8x8 uint8" in shown
    assert "0.02 ... 0.3 (log)" in shown
    assert "?" not in shown
