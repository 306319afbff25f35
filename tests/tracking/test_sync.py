"""`python -m harness.sync`: what is left is sent, twice changes nothing, and a view is rebuilt from its folder."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness import sync
from harness.common.file_lock import file_lock
from harness.tracking.spool.cursor import Cursor, count_pending, lock_path
from harness.tracking.spool.event_log import read_events
from harness.tracking.spool.events import EpochMetrics
from tests.tracking.conftest import free_port
from tests.tracking.sweeps import shown, sweep_events, trial_events, write_events


@pytest.fixture
def swept(runs: Path) -> Path:
    """A runs folder with the spool of one sweep, of which nothing was sent."""
    home = runs / "a study"
    home.mkdir()
    (home / "labels.npz").write_bytes(b"labels")
    (home / "study.journal").touch()
    write_events(home / "spool", sweep_events(3))
    return runs


def command(runs: Path, *words: str) -> int:
    return sync.main([*words, "--runs-dir", str(runs)])


def test_what_is_left_is_sent_and_nothing_twice(swept: Path, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    def sent(expected: str) -> None:
        assert command(swept, "a study") == 0
        assert capsys.readouterr().out.startswith(f"a study: {expected} events sent to {store}; run ")

    sent(str(len(list(sweep_events(3)))))
    before = shown(store)
    assert len(before) == 4
    sent("no")
    assert shown(store) == before
    write_events(swept / "a study" / "spool", trial_events(3))
    sent(str(len(list(trial_events(3)))))
    assert shown(store)["learned-003"]["status"] == "FINISHED"


def test_a_view_is_rebuilt_into_an_empty_server_from_a_folder_that_was_moved(
    swept: Path, store: str, tmp_path: Path, empty_database: Path
) -> None:
    command(swept, "a study")
    before = shown(store)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.copytree(swept / "a study", moved / "a study")
    shutil.copy(empty_database, moved / "mlflow.db")
    assert command(moved, "a study", "--rebuild") == 0
    assert shown(f"sqlite:///{moved / 'mlflow.db'}") == before
    assert command(moved, "a study", "--rebuild") == 0
    assert shown(f"sqlite:///{moved / 'mlflow.db'}") == before


def test_a_sweep_whose_driver_died_is_not_left_running(swept: Path, store: str) -> None:
    write_events(swept / "a study" / "spool", [*list(sweep_events(4))[:-1], *list(trial_events(6))[:-1]])
    assert command(swept, "a study") == 0
    runs = shown(store)
    assert (runs["a study"]["status"], runs["learned-006"]["status"]) == ("KILLED", "KILLED")
    assert runs["learned-006"]["tags"]["state"] == "interrupted"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["the study"], "expected a sweep in {runs}/, got 'the study'; did you mean a study?"),
        (["a study", "--runs-dir", "{runs}/a study"], "it holds none; run a search, or pass --runs-dir"),
        (["a study", "--tracking-uri", "gopher://lab"], "expected http(s)://HOST:PORT"),
    ],
)
def test_bad_input_is_refused(words: list[str], expected: str, swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sync.main(["--runs-dir", str(swept), *(word.format(runs=swept) for word in words)]) == 2
    assert expected.format(runs=swept) in capsys.readouterr().err


def test_an_unreachable_server_is_reported_and_nothing_is_lost(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert command(swept, "a study", "--tracking-uri", url) == 1
    assert "connection refused" in capsys.readouterr().err
    assert count_pending(swept / "a study" / "spool", url) == len(list(sweep_events(3)))


def test_two_never_send_at_once(
    swept: Path, store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "TIMEOUT", 0.2)
    with file_lock(lock_path(swept / "a study" / "spool", store)) as locked:
        assert locked
        assert command(swept, "a study") == 1
    assert "another process is sending" in capsys.readouterr().err
    assert command(swept, "a study") == 0


def test_the_writer_of_the_sweep_is_waited_for_as_long_as_it_sends(
    swept: Path, store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "TIMEOUT", 0.8)
    folder = swept / "a study" / "spool"
    ends = [end for _, end in read_events(folder)][:3]

    def send() -> None:
        with file_lock(lock_path(folder, store)):
            locked.set()
            for end in ends:
                time.sleep(0.5)
                Cursor(store, offset=end).save(folder, store)

    locked = threading.Event()
    writer = threading.Thread(target=send)
    writer.start()
    locked.wait()
    assert command(swept, "a study") == 0
    writer.join()
    waited = capsys.readouterr().err.splitlines()
    assert waited == [
        f"another process is sending this sweep, {len(list(sweep_events(3)))} events are left: waiting for it"
    ]


def test_what_the_server_refused_is_reported(swept: Path, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_events(swept / "a study" / "spool", [EpochMetrics(trial=0, step=1, metrics={"x" * 600: 1.0})])
    assert command(swept, "a study") == 0
    assert "the server did not take 1 values or files, which are listed in" in capsys.readouterr().err


def test_bad_input_is_reported_before_mlflow_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from harness.sync import main\n"
        f"code = main(['label_lr', '--runs-dir', {str(tmp_path)!r}])\n"
        "print(code, 'mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]
