"""The notebook runs top to bottom on a sweep that it reads from MLflow, and is kept without outputs."""

from pathlib import Path

import nbformat
import pytest

from analysis import execute
from analysis.study import Study
from tests.analysis.sweeps import searched, sent

FOLDER = Path(execute.__file__).parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["label_lr.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs_and_holds_no_logic(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert not any(line.startswith(("def ", "for ", "if ", "class ")) for line in cell.source.splitlines())


@pytest.mark.slow
def test_a_notebook_runs_on_a_sweep_and_shows_its_tables_and_figures(
    runs: Path, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent(store, runs, searched())
    out = tmp_path / "out" / "label_lr.ipynb"
    notebook = str(FOLDER / "label_lr.ipynb")
    assert execute.main([notebook, "--out", str(out), "--tracking-uri", store, "--study", "label_lr"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    outputs = [output for cell in nbformat.read(out, as_version=4).cells for output in cell.get("outputs", [])]
    assert [kind for output in outputs for kind in output.get("data", {}) if kind != "text/plain"] == [
        "text/html",
        *["image/png"] * 6,
        *["text/html"] * 2,
        "image/png",
    ]
    said = [output["text"] for output in outputs if output.output_type == "stream"]
    assert len(said) == 2, "the headline and what the surface says, and no warnings"
    assert said[0].startswith("label_lr: complete, 18 trials")


def test_bad_input_is_told_and_nothing_is_written(
    study: Study, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook, out = str(FOLDER / "label_lr.ipynb"), tmp_path / "out.ipynb"
    for words, expected in [
        (["no.ipynb", "--out", str(out)], "there are"),
        ([notebook, "--out", "page.html"], r"ends in .ipynb"),
        ([notebook, "--out", notebook], "expected another file"),
        ([notebook, "--out", str(out), "--study", "label_rl"], "did you mean label_lr"),
    ]:
        assert execute.main([*words, "--tracking-uri", store]) == 2
        assert expected in capsys.readouterr().err
    assert not out.exists()
