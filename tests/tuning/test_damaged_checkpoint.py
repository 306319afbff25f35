"""A checkpoint that was damaged between two commands: where the sweep continues, and where the user is told."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from harness.console import SweepProgress
from harness.tracking.spool import event_log, events
from harness.tracking.spool.events import TrialWarning
from harness.tracking.spool.run_updates import updates_by_run
from harness.tuning.execution.scheduler import SourceScheduler
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.worker.chunk_report import failure_report
from tests.conftest import finish, run, start
from tests.support.kills import OFTEN, ended, wait_for_file
from tests.tuning.conftest import Recorder, measured, next_trial, space


def test_a_warning_of_a_worker_reaches_the_terminal_the_event_log_and_the_run(journal: Path) -> None:
    recorder, printed = Recorder(), io.StringIO()
    progress = SweepProgress(
        8, metric="val_accuracy", direction="maximize", console=Console(file=printed, width=200), every=1e9
    )
    study = SweepStudy(journal, space(), [recorder, progress])
    number = next_trial(study).number
    text = "trials/0/checkpoint.pt: expected an intact checkpoint [of version 3]"
    SourceScheduler(study)._record(
        number, {**failure_report(""), "epochs": [(1, measured(0.5))], "warnings": [text], "finished": False}
    )
    assert text in printed.getvalue()
    (warning,) = recorder.of(TrialWarning)
    assert isinstance(warning, TrialWarning)
    assert (warning.trial, warning.text) == (number, text)
    assert events.decode_event(events.encode_event(warning)) == warning
    assert updates_by_run([warning])[number].tags == {"warning": text}


@pytest.mark.slow
def test_a_sweep_continues_from_the_last_whole_checkpoint_and_warns(tmp_path: Path, ray_address: str) -> None:
    words = ("--space", "label_lr.yaml", "--set", "epochs=250", "--set", "search.pruner=none", "--set", "width=64")
    one = (*words, *OFTEN, "--set", "baselines={}", "--trials", "1")
    fixed = (*one, "--address", ray_address, "--runs-dir", str(tmp_path))
    trial = tmp_path / "label_lr" / "trials" / "0"
    with ended(start("harness.search", *fixed)) as process:
        wait_for_file(trial, "checkpoint.previous.pt", process)
        process.terminate()
        assert finish(process).code == 130
    damaged = bytearray((trial / "checkpoint.pt").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (trial / "checkpoint.pt").write_bytes(damaged)
    result = run("harness.search", *fixed)
    assert result.code == 0, result.all
    said = (
        f"{trial / 'checkpoint.pt'}: expected an intact checkpoint, got one with a wrong checksum; the trial goes on "
        "from the one before it"
    )
    assert said in result.out
    records = [record for record, _ in event_log.read_events(tmp_path / "label_lr" / "spool")]
    assert [record.text for record in records if isinstance(record, TrialWarning)] == [said]
    summary = json.loads((tmp_path / "label_lr" / "summary.json").read_text())
    assert summary["states"] == {"complete": 1, "pruned": 0, "failed": 0}

    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    curves = MlflowReader(f"sqlite:///{tmp_path}/mlflow.db").sweep("label_lr").curves(["val_accuracy"])
    assert sorted(curves["step"]) == list(range(1, 251))
