"""Notebooks are kept without outputs, and run on a sweep that lacks what they show; `test_pages` has real sweeps."""

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from analysis import execute
from analysis.frames.sweep_frame import SweepFrame
from tests.analysis.sweeps import record_and_send
from tests.conftest import run

FOLDER = Path(execute.__file__).parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LACKING = {
    "confirm.ipynb": ["label_lr is not confirmed on fresh seeds: python -m harness.confirm label_lr"],
    "label_lr.ipynb": ["no response surface"],
    "label_semantics.ipynb": ["this sweep has no class labels"],
    "noise_correction.ipynb": ["no learned trial ran to its end"],
}
"""What each says of a sweep without trials."""


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == sorted(LACKING)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs_and_holds_no_logic(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
            assert not any(line.startswith(("def ", "for ", "if ", "class ")) for line in cell.source.splitlines())


def outputs(notebook: Path) -> list[NotebookNode]:
    return [output for cell in nbformat.read(notebook, as_version=4).cells for output in cell.get("outputs", [])]


def printed(notebook: Path) -> str:
    """All that it printed; nothing may have gone to the error stream, such as a warning."""
    streams = [output for output in outputs(notebook) if output.output_type == "stream"]
    assert {stream.name for stream in streams} <= {"stdout"}
    return "".join(stream.text for stream in streams)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LACKING))
def test_a_notebook_says_in_words_what_a_sweep_lacks(
    name: str, runs: Path, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_and_send(store, runs, [])
    out = tmp_path / "out" / name
    assert execute.main([str(FOLDER / name), "--out", str(out), "--tracking-uri", store]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    text = printed(out)
    assert all(word in text for word in LACKING[name]), text


def test_bad_input_is_reported_and_nothing_is_written(
    tracked: SweepFrame, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
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


@pytest.mark.slow
def test_a_notebook_is_run_from_any_folder_where_tmpdir_is_longer_than_a_socket_may_be(
    runs: Path, store: str, tmp_path: Path
) -> None:
    record_and_send(store, runs, [])
    here, long = tmp_path / "here", tmp_path.joinpath(*["long-name"] * 12)
    here.mkdir()
    long.mkdir(parents=True)
    words = (
        str(FOLDER / "label_lr.ipynb"),
        "--out",
        "out.ipynb",
        "--runs-dir",
        str(Path(store.removeprefix("sqlite:///")).parent),
    )
    done = run("analysis.execute", *words, cwd=here, TMPDIR=str(long))
    assert (done.code, done.out, done.err) == (0, "out.ipynb\n", "")
    assert [path.name for path in here.iterdir()] == ["out.ipynb"]
