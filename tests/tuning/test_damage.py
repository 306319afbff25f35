"""A checkpoint that was damaged while nobody ran: what the sweep goes on from, and where that is said."""

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
from tests.tuning.conftest import Recorder, measured, space


def test_a_warning_of_a_worker_reaches_the_terminal_the_spool_and_the_trial_s_run(journal: Path) -> None:
    heard = Recorder()
    printed = io.StringIO()
    study = SweepStudy(journal, space())
    progress = SweepProgress(
        8, metric="val_accuracy", direction="maximize", console=Console(file=printed, width=200), every=1e9
    )
    study.listeners += [heard, progress]
    trial = study.next()
    assert trial is not None
    warning = "trials/0/checkpoint.pt: expected an intact checkpoint [of version 3]"
    report = failure_report("")
    report |= {"finished": False, "epochs": [(1, measured(0.5))], "warnings": [warning]}
    assert SourceScheduler(study)._record(trial.number, report)
    assert warning in printed.getvalue()
    (told,) = heard.of(TrialWarning)
    assert (told.trial, told.text) == (trial.number, warning)
    assert events.decode_event(events.encode_event(told)) == told
    assert updates_by_run([told])[trial.number].tags == {"warning": warning}


@pytest.mark.slow
def test_a_sweep_goes_on_from_the_last_whole_checkpoint_and_says_so(tmp_path: Path, ray_address: str) -> None:
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
