"""Optuna's dashboard shows a sweep's journal, while a driver writes it, and cannot change it."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness import dashboard
from harness.tuning.study.journal import ReadOnlyStorage
from tests.analysis.sweeps import record, search_events


def tried(folder: Path, trials: int) -> None:
    """Adds so many trials to each of two studies in the journal of `folder`, as another process would."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    for arm in ("learned", "one_hot"):
        study = optuna.create_study(study_name=arm, storage=storage, direction="maximize", load_if_exists=True)
        study.optimize(lambda trial: trial.suggest_float("lr", 0.01, 0.1, log=True), n_trials=trials)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record(tmp_path / "label_lr", search_events())
    tried(tmp_path / "label_lr", 3)
    return tmp_path / "label_lr"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with dashboard.make_dashboard(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def asked(address: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_there_is_a_study_an_arm_with_its_trials_and_new_ones_appear(address: str, folder: Path) -> None:
    studies = asked(f"{address}/api/studies")["study_summaries"]
    assert {study["study_name"] for study in studies} == {"learned", "one_hot"}
    number = next(study["study_id"] for study in studies if study["study_name"] == "learned")
    assert len(asked(f"{address}/api/studies/{number}?after=0")["trials"]) == 3
    tried(folder, 2)
    # Of one study it remembers the trials for two seconds, of another it has asked for none.
    other = next(study["study_id"] for study in studies if study["study_name"] == "one_hot")
    assert [trial["state"] for trial in asked(f"{address}/api/studies/{other}?after=0")["trials"]] == ["Complete"] * 5


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/studies/0", None),
        ("POST", "/api/studies/0/rename", {"study_name": "mine"}),
        ("PUT", "/api/studies/0/note", {"body": "mine", "version": 1}),
        ("POST", "/api/studies", {"study_name": "new", "directions": ["maximize"]}),
    ],
    ids=["delete", "rename", "note", "create"],
)
def test_what_would_change_the_sweep_is_refused(
    method: str, path: str, body: Any, address: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "study.journal").read_bytes()
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked(f"{address}{path}", method, body)
    assert refused.value.code >= 400
    refused.value.close()
    assert (folder / "study.journal").read_bytes() == before
    assert len(asked(f"{address}/api/studies")["study_summaries"]) == 2, "and it still answers"
    capfd.readouterr()  # the refusal's traceback


def test_a_read_only_storage_reads_and_does_not_write(folder: Path) -> None:
    before = (folder / "study.journal").read_bytes()
    storage = ReadOnlyStorage(folder / "study.journal")
    assert len(optuna.load_study(study_name="learned", storage=storage).trials) == 3
    with pytest.raises(PermissionError, match="only the driver"):
        storage.delete_study(0)
    assert (folder / "study.journal").read_bytes() == before
    (folder / "study.journal").write_bytes(before + b'{"op_code": 4')  # the driver is in the middle of a line
    assert len(optuna.load_study(study_name="one_hot", storage=ReadOnlyStorage(folder / "study.journal")).trials) == 3


def test_bad_input_is_reported(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = ["--runs-dir", str(tmp_path)]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for words, expected in [
            (["label_rl", *runs], "did you mean label_lr"),
            (["label_lr", *runs, "--port", port], f"--port: expected a free port on 127.0.0.1, got {port}"),
            (["label_lr", *runs, "--port", "99999"], "--port: expected a free port"),
        ]:
            assert dashboard.main(words) == 2
            assert expected in capsys.readouterr().err
