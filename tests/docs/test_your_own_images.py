"""docs/your-own-images.md: its data are written, read and searched as the page says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import run
from tests.docs.code_blocks import ROOT, blocks, code_blocks

PAGE = ROOT / "docs" / "your-own-images.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images and the space file of the page."""
    folder = tmp_path_factory.mktemp("page")
    (block,) = code_blocks(PAGE)
    subprocess.run([sys.executable, "-c", block.code], cwd=folder, check=True, timeout=300)
    (space,) = blocks(PAGE, "yaml")
    (folder / "shapes.yaml").write_text(space)
    return folder


def test_the_dry_run_begins_as_quoted(folder: Path) -> None:
    done = run("harness.search", "--space", "shapes.yaml", "--dry-run", cwd=folder)
    assert done.code == 0, done.all
    assert done.out.startswith(blocks(PAGE, "")[0])


def test_the_labels_of_a_run_move_and_nobody_knows_how_many_are_right(folder: Path) -> None:
    done = run("harness.train", "--space", "shapes.yaml", "--set", "epochs=2", cwd=folder)
    assert done.code == 0, done.all
    assert done.out.splitlines()[-1].split()[-2:] == ["–", "–"]


@pytest.mark.slow
def test_the_search_ends_in_a_table_of_these_arms(folder: Path, ray_address: str) -> None:
    done = run("harness.search", "--space", "shapes.yaml", "--trials", "6", "--address", ray_address, cwd=folder)
    assert done.code == 0, done.all
    printed = [line.split() for line in done.out.splitlines()]
    assert all(line.split() in printed for line in blocks(PAGE, "")[1].splitlines()[:2])  # the head of the table
    assert "on 150 validation images of one seed" in " ".join(done.out.split())
