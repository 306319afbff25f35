"""docs/wrong-labels.md: its commands and its code run on the sweep of docs/your-own-images.md."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT, run
from tests.docs.code_blocks import blocks, code_blocks

PAGE, IMAGES = ROOT / "docs" / "wrong-labels.md", ROOT / "docs" / "your-own-images.md"


def python(code: str, folder: Path) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.slow
def test_the_commands_and_the_code_run_on_the_sweep_of_the_images(ray_address: str, tmp_path: Path) -> None:
    python(code_blocks(IMAGES)[0].code, tmp_path)
    (tmp_path / "shapes.yaml").write_text(blocks(IMAGES, "yaml")[0])
    searched = run("harness.search", "--space", "shapes.yaml", "--trials", "3", "--address", ray_address, cwd=tmp_path)
    assert searched.code == 0, searched.all
    commands = re.findall(r"^    python -m harness\.labels (.+)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 2
    for words in commands:
        done = run("harness.labels", *words.split(), cwd=tmp_path)
        assert done.code == 0, done.all
        head = blocks(PAGE, "")[0].splitlines()[:2]
        assert [line.split() for line in head] == [
            line.split() for line in done.out.splitlines() if "left to" in line or line.startswith("image ")
        ]
    printed = python(code_blocks(PAGE)[0].code, tmp_path)
    assert re.match(r"learned-\d+ proposes another class for \d+ of 1,197 labels", printed)
    columns = pd.read_csv(tmp_path / "suspicious.csv").columns
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE)))
    assert [name for name in named if name != "truth"] == list(columns)


def test_labels_of_an_npz_file_are_corrected_as_shown(tmp_path: Path) -> None:
    np.savez(tmp_path / "vectors.npz", x_train=np.eye(4), y_train_given=np.array([0, 1, 2, 1]))
    (tmp_path / "corrected.csv").write_text("index,class\n3,0\n1,2\n")
    python(code_blocks(PAGE)[1].code, tmp_path)
    with np.load(tmp_path / "vectors-corrected.npz") as file:
        assert file["y_train_given"].tolist() == [0, 2, 2, 0]
        assert file["x_train"].shape == (4, 4)
