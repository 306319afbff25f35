"""`python -m harness.submit` against a real cluster with its job server."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, run
from tests.support.ray_clusters import head
from tests.tracking.conftest import free_port

OWN = """
from torch import nn

def tiny(shape, classes, width):
    channels, height, breadth = shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * breadth, classes))
"""


@pytest.fixture(scope="module")
def dashboard() -> Iterator[str]:
    """The address of the job server of a cluster, a process of its own: commands must not find it by themselves."""
    port = free_port()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # where jobs find `python`
    with head({"PATH": path, "PYTHONPATH": ""}, job_server=port, num_cpus=3):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.slow
def test_a_sweep_runs_there_with_a_model_of_ones_own_and_its_log_comes_back(dashboard: str, tmp_path: Path) -> None:
    home, runs = tmp_path / "home", tmp_path / "runs"
    home.mkdir()
    (home / "own.py").write_text(OWN)
    (home / "mine.yaml").write_text((ROOT / "search_spaces" / "label_lr.yaml").read_text())
    (home / "runs").mkdir()
    (home / "runs" / "large").write_bytes(b"not to be sent")
    submit = (
        *("--space", "mine.yaml", "--address", dashboard, "--runs-dir", str(runs)),
        *("--set", "epochs=2", "--set", "model=own:tiny", "--env", f"PYTHONPATH={ROOT}", "--", "--trials", "3"),
    )
    result = run("harness.submit", *submit, cwd=home)
    assert result.code == 0, result.all
    assert "3/3 trials" in result.out
    assert "go on:" in result.out
    summary = json.loads((runs / "label_lr" / "summary.json").read_text())
    assert summary["states"]["complete"] == 3
    again = run("harness.submit", *submit, cwd=home)
    assert again.code == 0, again.all
    assert json.loads((runs / "label_lr" / "summary.json").read_text())["arms"] == summary["arms"], "nothing run twice"


@pytest.mark.slow
def test_the_exit_code_is_that_of_the_search(dashboard: str, tmp_path: Path) -> None:
    result = run(
        *("harness.submit", "--space", "label_lr.yaml", "--address", dashboard, "--runs-dir", str(tmp_path / "runs")),
        *("--env", f"PYTHONPATH={ROOT}", "--", "--warm-start", "nothing-like-it"),
    )
    assert result.code == 2, result.all
    assert "nothing-like-it" in result.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--space", "label_lr.yaml", "--runs-dir", "runs"), "expected an absolute path"),
        (("--space", "label_lr.yaml", "--runs-dir", "/runs"), "--address: expected the dashboard"),
        (
            ("--space", "label_l.yaml", "--runs-dir", "/runs", "--address", "http://127.0.0.1:9"),
            "did you mean label_lr",
        ),
        (("--space", "label_lr.yaml", "--runs-dir", "/runs", "--env", "NOT_SET_HERE"), "give NAME=VALUE"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(arguments: tuple[str, ...], expected: str) -> None:
    result = run("harness.submit", *arguments)
    assert result.code == 2
    assert expected in result.err


def test_a_cluster_that_is_not_there_is_named() -> None:
    result = run("harness.submit", "--space", "label_lr.yaml", "--runs-dir", "/runs", "--address", "http://127.0.0.1:9")
    assert result.code == 2, result.all
    assert "http://127.0.0.1:9" in result.err
    assert "Traceback" not in result.err


def test_a_space_file_that_would_not_travel_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text((ROOT / "search_spaces" / "label_lr.yaml").read_text())
    address = ("--runs-dir", "/runs", "--address", "http://127.0.0.1:9")
    result = run("harness.submit", "--space", str(file), *address)
    assert result.code == 2
    assert "copy it here" in result.err
