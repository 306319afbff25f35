"""A sweep in a folder whose path has every odd character: it runs, and what it prints can be typed."""

import shlex
from pathlib import Path

import pytest

from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from harness.tracking.tracking_uri import resolve_uri
from tests.conftest import run

SMALL = ("--space", "label_lr.yaml", "--set", "epochs=1", "--set", "width=8", "--trials", "3")


@pytest.mark.slow
def test_a_sweep_in_a_folder_of_an_odd_name(tmp_path: Path, ray_address: str) -> None:
    runs = tmp_path / "home" / "r%20uns q?x=1 #b&c;'ü"
    searched = run("harness.search", *SMALL, "--runs-dir", str(runs), "--address", ray_address)
    assert searched.code == 0, searched.all
    printed = dict(line.split(":", 1) for line in searched.out.splitlines() if line[:9] in NEXT)
    assert len(printed) == len(NEXT), searched.out
    assert Path(*shlex.split(printed["read it"])).is_file()
    for purpose in ("go on", "confirm it", "look at it"):
        words = shlex.split(printed[purpose])
        assert words[words.index("--runs-dir") + 1] == str(runs)

    words = shlex.split(printed["confirm it"])[2:]
    confirmed = run(*words, "--top", "1", "--seeds", "2")
    assert confirmed.code == 0, confirmed.all
    assert run("harness.report", "label_lr", "--runs-dir", str(runs)).code == 0
    assert run("harness.sync", "label_lr", "--runs-dir", str(runs), "--rebuild").code == 0
    sweep = MlflowReader(resolve_uri(None, runs)).sweep("label_lr")
    assert len(sweep.trials()) == 3
    assert "study:" in sweep.artifact("space.yaml", tmp_path).read_text(encoding="utf-8")
    assert [path.name for path in runs.parent.iterdir()] == [runs.name]


NEXT = ("go on:   ", "confirm i", "read it: ", "look at i")
