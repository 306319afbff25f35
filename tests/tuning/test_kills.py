"""A driver killed before any write of its journal: the next one ends with the sweep that would have been.

Each sweep is stopped before every one of its writes in turn, opened again and driven to its end, one trial at a time.
The pretended trainer reports from the first epoch on again, as a worker without a checkpoint does.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness.space import Space
from harness.tracking.spool.events import TrialEnded
from harness.tuning.study.journal import JournalFile
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import TrialRecord
from harness.tuning.trial import Trial
from tests.tuning.conftest import Recorder, measured, next_trial, rising, space

PRUNERS = [
    "{type: successive_halving, min_epochs: 1, reduction_factor: 2}",
    "{type: hyperband, min_epochs: 1, max_epochs: 2, reduction_factor: 2}",
    "{type: median, startup_trials: 1}",
    "{type: wilcoxon, p_threshold: 0.2, startup_epochs: 2}",
]

SWEEPS = {
    **{
        pruner: [f"search.pruner={pruner}", f"search.trials={8 if 'hyperband' in pruner else 6}", "epochs=4"]
        for pruner in PRUNERS
    },
    "a model that would repeat some of few values": [
        "arms.learned.parameters.label_lr={type: float, low: 0.5, high: 1.0, step: 0.25}",
        "arms.learned.parameters.meta_interval={type: int, low: 1, high: 4}",
        "search.trials=7",
        "epochs=1",
    ],
    "generations of two objectives": [
        "objectives=[{metric: val_accuracy}, {metric: val_calibration_error}]",
        "search.sampler={type: nsga2, population_size: 3}",
        "search.trials=8",
        "epochs=1",
    ],
}


class Killed(BaseException):
    """Nothing in between catches it, as nothing catches a SIGKILL."""


@contextmanager
def killed_before(write: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Kill the driver before its write number `write`, from 0; yields the number of completed writes."""
    writes = [0]
    append = JournalFile.append_logs

    def counted(self: JournalFile, logs: list[dict[str, Any]]) -> None:
        if writes[0] == write:
            raise Killed
        append(self, logs)
        writes[0] += 1

    with monkeypatch.context() as patch:
        patch.setattr(JournalFile, "append_logs", counted)
        yield writes


def metrics_of(trial: Trial, epoch: int) -> dict[str, float]:
    return measured(rising(trial, epoch)) | {"val_calibration_error": trial.params["label_lr"] / 10}


def train(study: SweepStudy, trial: Trial) -> int | None:
    """Report epochs as a worker would; returns the epoch at which the pruner stops the trial."""
    for epoch in range(1, trial.config.epochs + 1):
        study.record_seconds(trial.number, 0.5 * epoch)
        if study.report(trial.number, epoch, metrics_of(trial, epoch)):
            return epoch
    study.complete(trial.number)
    return None


def drive(study: SweepStudy) -> None:
    """Run the study to the end of its budget, as the executor does."""
    study.apply_pending_prunings()
    while (trial := study.next()) is not None:
        if train(study, trial):
            study.prune(trial.number)


def sweep(name: str) -> Space:
    return space("baselines={}", "arms.learned.points=[{label_lr: 0.5}]", *SWEEPS[name])


def outcome(study: SweepStudy) -> tuple[list[TrialRecord], list[dict[str, Any]]]:
    """The trials, and what the pruner noted of each to compare the next ones with."""
    trials = study._studies["learned"].get_trials()
    rungs = [{k: v for k, v in trial.system_attrs.items() if k.startswith("completed_rung")} for trial in trials]
    return study.trial_records(), rungs


@pytest.mark.parametrize("name", SWEEPS)
def test_a_kill_before_any_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # the process is killed, not the power
    searched = sweep(name)
    undisturbed = SweepStudy(tmp_path / "undisturbed", searched)
    with killed_before(-1, monkeypatch) as writes:
        drive(undisturbed)
    states = {record.state for record in undisturbed.trial_records()}
    assert states == ({"complete", "pruned"} if name in PRUNERS else {"complete"})
    wanted = outcome(SweepStudy(tmp_path / "undisturbed", searched))
    assert wanted == outcome(undisturbed)
    for write in range(writes[0] + 4):  # with those that create the studies
        journal = tmp_path / f"killed{write}"
        with killed_before(write, monkeypatch) as completed, suppress(Killed):
            drive(SweepStudy(journal, searched))
        assert completed[0] <= write
        recorder = Recorder()
        again = SweepStudy(journal, searched, [recorder])
        drive(again)
        assert outcome(again) == wanted, f"killed before write {write}"
        assert again.missing == 0
        ends = [event.trial for event in recorder.of(TrialEnded)]
        assert len(ends) == len(set(ends)), "no trial ends twice"


def test_a_trial_that_was_stopped_before_the_kill_is_ended_without_a_worker(journal: Path) -> None:
    searched = sweep(PRUNERS[0])
    study = SweepStudy(journal, searched)
    epoch = None
    while epoch is None:
        trial = next_trial(study)
        epoch = train(study, trial)
    recorder = Recorder()
    after = SweepStudy(journal, searched, [recorder])
    assert after.trial_records()[-1].state == "running"
    after.apply_pending_prunings()
    (end,) = recorder.of(TrialEnded)
    assert (end.trial, end.state, end.reason) == (trial.number, "pruned", f"pruned after epoch {epoch}")
    record = after.trial_records()[-1]
    assert (record.state, record.metrics) == ("pruned", metrics_of(trial, epoch))
    assert after.missing == 6 - len(after.trial_records())
