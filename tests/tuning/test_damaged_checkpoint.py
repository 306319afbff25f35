"""A warning of a worker, such as one of a damaged checkpoint: where the user sees it."""

import io
from pathlib import Path

from rich.console import Console

from harness.console import SweepProgress
from harness.space.document import Objective
from harness.tracking.spool import events
from harness.tracking.spool.events import TrialWarning
from harness.tracking.spool.run_updates import updates_by_run
from harness.tuning.execution.failure_watch import FailureWatch
from harness.tuning.execution.tune_adapters import SourceScheduler
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.worker.chunk_report import ChunkReport
from tests.tuning.conftest import Recorder, measured, next_trial, space


def test_a_warning_of_a_worker_reaches_the_terminal_the_event_log_and_the_run(journal: Path) -> None:
    recorder, printed = Recorder(), io.StringIO()
    progress = SweepProgress(8, Objective(), console=Console(file=printed, width=200), line_interval=1e9)
    study = SweepStudy(journal, space(), [recorder, progress])
    number = next_trial(study).number
    text = "trials/0/checkpoint.pt: expected an intact checkpoint [of version 3]"
    SourceScheduler(study, FailureWatch()).record(
        {"number": number}, ChunkReport(epochs=[(1, measured(0.5))], warnings=[text])
    )
    assert text in printed.getvalue()
    (warning,) = recorder.of(TrialWarning)
    assert isinstance(warning, TrialWarning)
    assert (warning.trial, warning.text) == (number, text)
    assert events.decode_event(events.encode_event(warning)) == warning
    assert updates_by_run([warning])[number].tags == {"warning": text}
