"""Space files, checkpoints, spools, data sets and sweep folders that a stranger made: read as data, or refused."""

import inspect
import json
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import report
from harness.tracking.mlflow_view import logged_models
from harness.tracking.spool import event_log
from harness.tracking.spool.events import ArtifactsAdded
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError
from harness.training.teacher_logits import load_teacher_logits
from harness.tuning.worker.runner import TrialRunner
from tests.commands.test_report import swept
from tests.conftest import ROOT
from tests.security.conftest import Trap, call, finished, malicious_archive, malicious_npz
from tests.tracking.sweeps import write_events

CONFIG = RunConfig(width=8, epochs=1, train_size=200, noise="symmetric", noise_rate=0.4)


def yaml_tag(trap: Trap) -> str:
    return f'!!python/object/apply:os.mkdir ["{trap.sprung}"]'


def test_a_tag_in_a_space_file_is_refused(tmp_path: Path, trap: Trap) -> None:
    text = (ROOT / "search_spaces" / "label_lr.yaml").read_text()
    (tmp_path / "own.yaml").write_text(text.replace("width: 128", f"width: {yaml_tag(trap)}"))
    result = call("search", "--space", str(tmp_path / "own.yaml"), "--runs-dir", str(tmp_path / "runs"))
    assert result.code == 2
    assert "quote it, or drop its tag" in result.err
    assert not trap.sprung.exists()


def test_a_tag_on_the_command_line_or_in_a_file_of_points_is_refused(tmp_path: Path, trap: Trap) -> None:
    (tmp_path / "points.yaml").write_text(f"- {{lr: {yaml_tag(trap)}}}\n")
    for change in (f"width={yaml_tag(trap)}", f"arms.learned.points={tmp_path / 'points.yaml'}"):
        result = call("train", "--space", "label_lr.yaml", "--set", change)
        assert result.code == 2
        assert "quote it, or drop its tag" in result.err
    assert not trap.sprung.exists()


def test_a_tag_in_the_space_of_a_sweep_that_was_sent_is_refused(tmp_path: Path, trap: Trap) -> None:
    folder = finished(tmp_path)
    with (folder / "space.yaml").open("a") as file:
        file.write(f"surprise: {yaml_tag(trap)}\n")
    for module in ("confirm", "report"):
        assert "Traceback" not in call(module, "label_lr", "--runs-dir", str(tmp_path)).all
    assert not trap.sprung.exists()


@pytest.mark.parametrize("text", ["{tag}", "[" * 100_000, "a: &a [1]\nb: *c\n", "a: 2026-13-45"])
def test_a_file_of_groups_is_read_as_data(tmp_path: Path, trap: Trap, text: str) -> None:
    from harness.common.errors import InputError
    from harness.semantics.references import superclasses

    file = tmp_path / "groups.yaml"
    file.write_text(text.replace("{tag}", yaml_tag(trap)))
    with pytest.raises(InputError, match=r"groups\.yaml: expected (a YAML file of groups|NAME: \[class)"):
        superclasses(file, 10)
    assert not trap.sprung.exists()


def with_checksum(content: bytes) -> bytes:
    return content + b'\n{"crc32":"%08x"}\n' % zlib.crc32(content)


def plain(file: Path, trap: Trap) -> None:
    file.write_bytes(pickle.dumps(trap))


@pytest.mark.parametrize("make", [malicious_archive, plain])
@pytest.mark.parametrize("summed", [True, False])
def test_a_pickle_in_place_of_a_checkpoint_is_not_run_whoever_summed_it(
    tmp_path: Path, trap: Trap, make: Callable[[Path, Trap], None], summed: bool
) -> None:
    file = tmp_path / "trial" / "checkpoint.pt"
    file.parent.mkdir()
    make(file, trap)
    if summed:
        content = file.read_bytes()
        file.write_bytes(with_checksum(content))
    trial = TrialRunner(CONFIG.model_dump(), file.parent)
    (warning,) = trial.warnings
    assert ("torch does not load as data" if summed else "wrong checksum") in warning
    report = trial.run_chunk()
    assert (report.failure, len(report.epochs)) == ("", 1)
    assert not trap.sprung.exists()


def test_an_invalid_run_state_restarts_the_run(tmp_path: Path) -> None:
    for held in ([1, 2], {"version": "3"}, torch.zeros(3)):
        torch.save(held, tmp_path / "checkpoint.pt")
        file = tmp_path / "checkpoint.pt"
        file.write_bytes(with_checksum(file.read_bytes()))
        assert "the trial starts anew" in TrialRunner(CONFIG.model_dump(), tmp_path).warnings[0]


def test_a_pickle_in_place_of_weights_is_not_run_when_models_are_logged(tmp_path: Path, trap: Trap) -> None:
    malicious_archive(tmp_path / "0" / logged_models.WEIGHTS, trap)
    assert logged_models.make_models(tmp_path, {0: CONFIG.model_dump()}) != ""
    assert not (tmp_path / "0" / logged_models.MODEL).exists()
    assert not trap.sprung.exists()


def test_objects_in_a_data_set_are_refused(tmp_path: Path, trap: Trap) -> None:
    malicious_npz(tmp_path / "own.npz", trap, ("x_train", "y_train"))
    result = call("train", "--space", "label_lr.yaml", "--set", f"dataset=npz:{tmp_path / 'own.npz'}")
    assert result.code == 2
    assert "own.npz: x_train: expected an array of numbers or text, got one of Python objects" in result.err
    assert "Traceback" not in result.all
    assert not trap.sprung.exists()


def test_objects_in_a_teacher_s_file_are_refused(tmp_path: Path, trap: Trap) -> None:
    malicious_npz(tmp_path / "3" / "logits.npz", trap, ("logits", "images", "dataset"))
    with pytest.raises(DataError, match=r"teacher: expected its logits in .*, which cannot be read"):
        load_teacher_logits(RunConfig(seed=3), str(tmp_path), torch.arange(3), 10)
    assert not trap.sprung.exists()


def test_objects_in_the_labels_of_a_sweep_that_was_sent_are_not_run(tmp_path: Path, trap: Trap) -> None:
    folder = swept(tmp_path / "label_lr")
    labels = ("labels", "given", "truth", "index", "steps", "course")
    files = [folder / "trials" / "0" / name for name in ("labels.npz", "label_history.npz")]
    for file in files:
        malicious_npz(file, trap, labels)
    paths = tuple(map(str, files))
    write_events(folder / "spool", [ArtifactsAdded(trial=number, artifacts=paths) for number in range(12)])
    result = call("report", "label_lr", "--runs-dir", str(tmp_path))
    assert "Traceback" not in result.all
    assert call("semantics", "label_lr", "--runs-dir", str(tmp_path)).code != 0
    assert not trap.sprung.exists()


def line(body: bytes) -> bytes:
    """A line with the right checksum whatever the rest of it is."""
    return body[:-1] + b',"crc32":"%08x"}\n' % zlib.crc32(body[:-1] + b"}")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"no json",
        b"3",
        b"{}",
        b'{"kind":"EpochMetrics"}',
        b'{"kind":"EpochMetrics","trial":0,"step":1,"metrics":[1]}',
        b'{"kind":"EpochMetrics","trial":0,"step":1,"metrics":{"val_accuracy":"__import__"}}',
        b'{"kind":"TrialEnded","trial":0,"state":"complete","artifacts":3}',
        b'{"kind":"__class__"}',
        b'{"kind":["EpochMetrics"]}',
    ],
)
def test_a_record_that_is_none_is_stepped_over_though_its_checksum_fits(tmp_path: Path, body: bytes) -> None:
    event_log.EventLog(tmp_path).close()
    with (tmp_path / event_log.FILE).open("ab") as file:
        file.write(line(body))
    assert [event for event, _ in event_log.read_events(tmp_path)] == [None, None], "the header and this line"


def test_a_sweep_s_json_that_nests_without_end_is_taken_for_damaged(tmp_path: Path) -> None:
    folder = swept(tmp_path / "label_lr")
    for name in ("provenance", "confirm", "summary", "distill", "semantics"):
        (folder / f"{name}.json").write_text("[" * 100_000)
    assert "<h1>label_lr</h1>" in report.render(folder)


@pytest.mark.parametrize("name", ["study.journal", "summary.json"])
def test_a_journal_or_summary_with_endless_nesting_is_reported(tmp_path: Path, name: str) -> None:
    folder = finished(tmp_path)
    with (folder / name).open("ab") as file:
        file.write(b'{"op_code":' * 100_000 + b"\n")
    result = call("confirm", "label_lr", "--runs-dir", str(tmp_path), "--seeds", "1", "--budget", "1")
    assert "Traceback" not in result.all
    assert result.code == 2


def test_metrics_in_a_journal_are_numbers_and_nothing_else(tmp_path: Path) -> None:
    """Optuna keeps distributions as JSON in JSON; an invalid one is reported, not built."""
    folder = finished(tmp_path)
    lines = (folder / "study.journal").read_bytes().splitlines()
    place = next(at for at, line in enumerate(lines) if b'"distribution"' in line)
    operation = {key: value for key, value in json.loads(lines[place]).items() if key != "crc32"}
    operation["distribution"] = json.dumps({"name": "os.system", "attributes": {"command": "true"}})
    body = json.dumps(operation, separators=(",", ":")).encode()
    lines[place] = body[:-1] + b',"crc32":"%08x"}' % zlib.crc32(body)
    (folder / "study.journal").write_bytes(b"\n".join([*lines, b""]))
    result = call("confirm", "label_lr", "--runs-dir", str(tmp_path))
    assert result.code == 2
    assert f"study.journal:{place + 1}: expected an operation that Optuna" in result.err


def test_arrays_are_read_with_pickles_forbidden_or_by_numpy_s_default() -> None:
    """The default is to forbid them; no line of the sources says otherwise."""
    sources = [*(ROOT / "harness").rglob("*.py"), *(ROOT / "analysis").rglob("*.py")]
    assert len(sources) > 100
    for file in sources:
        text = file.read_text()
        assert "allow_pickle=True" not in text, file
        assert "weights_only=False" not in text, file
        assert text.count("yaml.load(") == text.count(", yaml.BaseLoader)"), file
        assert text.count("torch.load(") == text.count("weights_only=True"), file
    assert inspect.signature(np.load).parameters["allow_pickle"].default is False
