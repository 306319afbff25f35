"""docs/first-sweep.md and README.md: what they quote is so, and the Python code runs."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.code_blocks import ROOT, blocks, code_blocks

PAGE = ROOT / "docs" / "first-sweep.md"


def test_the_space_file_is_the_shipped_one() -> None:
    schema, _, rest = (ROOT / "search_spaces" / "label_lr.yaml").read_text().partition("\n")
    assert schema.startswith("# yaml-language-server")
    assert blocks(PAGE, "yaml") == [rest]


def test_the_output_in_the_readme_is_part_of_that_on_the_page() -> None:
    (quoted,) = blocks(ROOT / "README.md", "")
    assert quoted in blocks(PAGE, "")[0]
    trials = yaml.safe_load(blocks(PAGE, "yaml")[0])["search"]["trials"]
    assert f"{trials}/{trials} trials" in blocks(PAGE, "")[0]


@pytest.mark.slow
def test_the_python_code_searches_and_confirms(tmp_path: Path) -> None:
    (block,) = code_blocks(PAGE)
    code = block.code.replace('"search.trials=12"', '"search.trials=6", "epochs=4", "width=32"')
    assert code != block.code, "short runs"
    program = tmp_path / "mine.py"
    shown = "result.best.val_accuracy > 0.5, len(result.trials), 'mlflow' in sys.modules"
    program.write_text(f"{code}\nimport sys; print({shown})\n")
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, timeout=1000, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "True 6 False", "the driver has not imported MLflow"
    assert (tmp_path / "runs" / "fixed-rate" / "confirm.json").is_file()
