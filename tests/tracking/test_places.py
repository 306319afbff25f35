"""Runs folders of any name, and ones that were moved: database and files are found, and nothing lands elsewhere."""

import json
import shutil
import sqlite3
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy.engine import make_url

from harness import sync
from harness.tracking.mlflow_view.mlflow_internals import open_client
from harness.tracking.mlflow_view.mlflow_reader import MlflowReader
from harness.tracking.spool.events import ArtifactsAdded, Event, SweepEnded, SweepStarted
from harness.tracking.tracking_uri import TrackingError, artifact_root, resolve_uri, sqlite_path, sqlite_uri
from tests.conftest import run, start
from tests.tracking.conftest import free_port
from tests.tracking.sweeps import trial_events, write_events

ODD = ("r%20uns", "100%", "q?x=1", "a#b", "a b", "a&b=c;d", "Läufe–1", "it's", "$(x)", "a:b@c", "file:x", "[1]")


def write_sweep(runs: Path, trials: range = range(2)) -> None:
    """A sweep of these trials, each with a file, of which nothing was sent."""
    folder = runs / "wide"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.npz").write_bytes(b"labels")
    (folder / "study.journal").touch()
    events: list[Event] = [SweepStarted(name="wide", params={}, tags={"study": "a study"})]
    for trial in trials:
        events += [*trial_events(trial), ArtifactsAdded(trial=trial, artifacts=(str(folder / "labels.npz"),))]
    write_events(folder / "spool", [*events, SweepEnded()])


def files(runs: Path) -> list[bytes]:
    """The contents of `labels.npz` of each trial, by the address that MLflow has."""
    reader = MlflowReader(resolve_uri(None, runs))
    sweep = reader.sweep()
    with TemporaryDirectory() as into:
        return [sweep.artifact("labels.npz", Path(into), run_id).read_bytes() for run_id in sweep.trials()["run_id"]]


@pytest.mark.parametrize("name", ODD)
def test_a_path_comes_back_from_its_uri(name: str, tmp_path: Path) -> None:
    database = tmp_path / name / "mlflow.db"
    uri = resolve_uri(None, tmp_path / name)
    assert uri == sqlite_uri(database) == resolve_uri(uri, Path("elsewhere"))
    assert sqlite_path(uri) == database
    assert make_url(uri).database == str(database), "as MLflow's database library reads it"


def test_a_question_mark_that_is_not_quoted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"got 'sqlite:////tmp/q\?x=1/mlflow\.db'; write a \? as %3F"):
        resolve_uri("sqlite:////tmp/q?x=1/mlflow.db", tmp_path)


@pytest.mark.parametrize("name", ["r%20uns", "q?x=1", "a#b &;Läufe"])
def test_a_sweep_is_sent_and_read_back_in_a_folder_of_any_name(name: str, tmp_path: Path, empty_database: Path) -> None:
    runs = tmp_path / "home" / name
    write_sweep(runs)
    shutil.copy(empty_database, runs / "mlflow.db")
    assert sync.main(["wide", "--runs-dir", str(runs)]) == 0
    assert files(runs) == [b"labels"] * 2
    assert [path.name for path in runs.parent.iterdir()] == [name]
    assert sorted(path.name for path in runs.glob("mlartifacts/*/*/artifacts/*")) == ["labels.npz"] * 2


@pytest.mark.parametrize("name", ["moved", "m%20o?v#ed"])
def test_files_of_a_runs_folder_that_was_moved_are_found_and_new_ones_lie_there(
    name: str, runs: Path, tmp_path: Path
) -> None:
    write_sweep(runs)
    assert sync.main(["wide", "--runs-dir", str(runs)]) == 0
    moved = tmp_path / name
    runs.rename(moved)
    assert files(moved) == [b"labels"] * 2
    write_sweep(moved, range(2, 3))
    # in another process: MLflow keeps the addresses of files in this one
    sent = run("harness.sync", "wide", "--runs-dir", str(moved))
    assert sent.code == 0, sent.all
    assert files(moved) == [b"labels"] * 3
    assert not runs.exists()
    with closing(sqlite3.connect(moved / "mlflow.db")) as database:
        locations = [row[0] for row in database.execute("SELECT artifact_uri FROM runs")]
    assert len(locations) == 4
    root = artifact_root(resolve_uri(None, moved), moved)
    assert all(location.startswith(f"{root}/") for location in locations)


def test_a_database_that_was_copied_alone_keeps_the_files_where_they_are(runs: Path, tmp_path: Path) -> None:
    write_sweep(runs)
    assert sync.main(["wide", "--runs-dir", str(runs)]) == 0
    (tmp_path / "copy").mkdir()
    shutil.copy(runs / "mlflow.db", tmp_path / "copy" / "mlflow.db")
    assert files(tmp_path / "copy") == [b"labels"] * 2
    client = open_client(resolve_uri(None, tmp_path / "copy"))
    assert all(
        experiment.artifact_location.startswith(runs.as_uri())
        for experiment in client.search_experiments()
        if experiment.name != "Default"
    )


@pytest.mark.slow
def test_mlflow_s_pages_show_a_moved_folder_of_an_odd_name_and_leave_nothing_beside_it(
    runs: Path, tmp_path: Path
) -> None:
    write_sweep(runs)
    assert sync.main(["wide", "--runs-dir", str(runs)]) == 0
    moved = tmp_path / "home" / "m%20o?v#ed"
    moved.parent.mkdir()
    runs.rename(moved)
    run_id = MlflowReader(resolve_uri(None, moved)).sweep().trials()["run_id"][0]
    address = f"http://127.0.0.1:{free_port()}"
    process = start("harness.ui", "--runs-dir", str(moved), "--port", address.rpartition(":")[2])
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        query = f"{address}/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id}"
        with urllib.request.urlopen(query, timeout=30) as answer:
            assert [file["path"] for file in json.load(answer)["files"]] == ["labels.npz"]
        with urllib.request.urlopen(f"{address}/get-artifact?path=labels.npz&run_uuid={run_id}", timeout=30) as answer:
            assert answer.read() == b"labels"
    finally:
        process.kill()
    assert [path.name for path in moved.parent.iterdir()] == [moved.name]
    assert not runs.exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--runs-dir", "{}/none"], "--runs-dir: expected MLflow's database at {}/none/mlflow.db, found none; run a"),
        (["--tracking-uri", "http://127.0.0.1:1"], "--tracking-uri: expected"),
    ],
)
def test_pages_without_a_database_are_refused(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness import ui

    assert ui.main([word.format(tmp_path) for word in words]) == 2
    assert expected.format(tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
