"""Names and links: nothing is read or written outside of the runs folder that was named."""

from pathlib import Path

import pytest

from harness.tracking.spool.cursor import Cursor
from harness.tracking.spool.events import TrialEnded, TrialStarted
from harness.tracking.spool.writer_log import FILE as LOG
from tests.security.conftest import again, call, finished
from tests.tracking.conftest import empty_database, runs, store
from tests.tracking.sweeps import send, write_events

__all__ = ["empty_database", "runs", "store"]

ODD = ["../outside", "..", ".", "/tmp/outside", "a/b", "a\\b", ".hidden", "-x", "a\nb", "a\0b", "x" * 101, "", " "]


def inventory(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("name", [name for name in ODD if name and "\0" not in name])
def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    result = call("search", "--space", "label_lr.yaml", "--runs-dir", str(tmp_path / "runs"), f"--name={name}")
    assert result.code == 2
    assert "--name: expected letters, digits and ._-" in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ODD)
def test_a_study_of_such_a_name_is_refused_in_the_file(name: str) -> None:
    from harness.space import SpaceError, parse

    text = Path("search_spaces/label_lr.yaml").read_text()
    quoted = name.encode("unicode_escape").decode().replace('"', '\\"')
    with pytest.raises(SpaceError, match="study: expected"):
        parse(text.replace("study: label_lr", f'study: "{quoted}"'))


@pytest.mark.parametrize("module", ["confirm", "report", "sync", "dashboard", "distill", "semantics"])
@pytest.mark.parametrize("where", ["{there}", "../elsewhere/label_lr", "label_lr/../../elsewhere/label_lr"])
def test_who_goes_on_with_a_sweep_finds_it_in_the_runs_folder_alone(tmp_path: Path, module: str, where: str) -> None:
    (tmp_path / "runs").mkdir()
    there = finished(tmp_path / "elsewhere")
    before = inventory(tmp_path)
    result = call(module, where.format(there=there), "--runs-dir", str(tmp_path / "runs"))
    assert result.code == 2
    assert "expected a sweep in" in result.err
    assert inventory(tmp_path) == before


@pytest.mark.parametrize("module", ["search", "confirm", "report", "sync", "dashboard", "distill", "semantics"])
def test_a_link_out_of_the_runs_folder_is_not_followed(tmp_path: Path, module: str) -> None:
    there = finished(tmp_path / "elsewhere")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "label_lr").symlink_to(there)
    before = inventory(tmp_path)
    words = again(tmp_path / "runs") if module == "search" else ("label_lr", "--runs-dir", str(tmp_path / "runs"))
    result = call(module, *words)
    assert result.code == 2, result.all
    assert f"got 'label_lr', a link to {there}; pass --runs-dir {there.parent}" in result.err
    assert inventory(tmp_path) == before


@pytest.mark.parametrize("module", ["search", "sync"])
@pytest.mark.parametrize(
    "link", ["driver.lock", "provenance.json", "study.journal.cut", "spool/writer.log", "trials/0"]
)
def test_a_link_in_a_sweep_that_was_sent_is_not_written_through(tmp_path: Path, module: str, link: str) -> None:
    folder = finished(tmp_path / "runs")
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).unlink(missing_ok=True)
    (folder / link).symlink_to(precious)
    words = again(tmp_path / "runs") if module == "search" else ("label_lr", "--runs-dir", str(tmp_path / "runs"))
    result = call(module, *words)
    assert result.code == 2, result.all
    assert f"{folder / link}: expected a file or folder of the sweep, got a link to {precious}; remove it" in result.err
    assert precious.read_text() == "mine"


def test_links_within_a_sweep_are_its_own_affair(tmp_path: Path) -> None:
    from harness.tuning.storage.sweep_folder import SweepFolder

    folder = finished(tmp_path / "runs")
    (folder / "notes").mkdir()
    (folder / "latest").symlink_to(folder / "notes")
    with SweepFolder(folder):
        pass


def test_files_outside_of_the_runs_folder_are_not_sent_to_a_server(tmp_path: Path, runs: Path, store: str) -> None:
    """Records name files; those of a sweep that was sent may name any."""
    from mlflow import MlflowClient

    (tmp_path / "key").write_text("private")
    home = runs / "label_lr"
    (home / "trials").mkdir(parents=True)
    (home / "trials" / "link").symlink_to(tmp_path / "key")
    (home / "trials" / "notes.txt").write_text("public")
    (runs / "beside.txt").write_text("public")
    outside = (tmp_path / "key", home / ".." / ".." / "key", home / "trials" / "link")
    inside = (home / "trials" / "notes.txt", runs / "beside.txt")
    ended = TrialEnded(trial=0, state="complete", artifacts=tuple(map(str, (*outside, *inside))))
    send(write_events(home / "spool", [TrialStarted(trial=0, name="learned-0"), ended]), store)
    client = MlflowClient(store)
    (experiment,) = [candidate for candidate in client.search_experiments() if candidate.name == "label_lr"]
    held = {
        file.path
        for run in client.search_runs([experiment.experiment_id])
        for file in client.list_artifacts(run.info.run_id)
    }
    assert held == {"notes.txt", "beside.txt"}
    assert (home / "spool" / LOG).read_text().count("lies outside of the runs folder") == 3
    assert Cursor.load(home / "spool", store).skipped == 3
