"""A driver killed at any write of its journal: the next one ends with the sweep that would have been.

Each sweep here is stopped before every one of its writes in turn, opened again and driven to its end: with each pruner,
one trial at a time, on a pretended trainer that measures what is asked of it again from the first epoch on, as a worker
does that has no checkpoint.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.space import Space
from harness.tracking.spool.events import Event, TrialEnded
from harness.tuning.study.journal import _JournalFile
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import TrialRecord
from tests.tuning.conftest import Recorder, measured, rising, space

PRUNERS = [
    "{type: successive_halving, min_epochs: 1, reduction_factor: 2}",
    "{type: hyperband, min_epochs: 1, max_epochs: 2, reduction_factor: 2}",
    "{type: median, startup_trials: 1}",
    "{type: wilcoxon, p_threshold: 0.2, startup_epochs: 2}",
    "none",
]


class Killed(BaseException):
    """Nothing on the way catches it, as nothing catches a SIGKILL."""


@contextmanager
def killed_before(write: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Kill the driver before its write number `write`, from 0; yields the count of those that were let through."""
    through = [0]
    append = _JournalFile.append_logs

    def counted(self: _JournalFile, logs: list[dict[str, Any]]) -> None:
        if through[0] == write:
            raise Killed
        through[0] += 1
        append(self, logs)

    with monkeypatch.context() as patch:
        patch.setattr(_JournalFile, "append_logs", counted)
        yield through


def drive(study: SweepStudy) -> None:
    """To the end of the budget, as the searcher and the scheduler do."""
    study.apply_pending_prunings()
    while (trial := study.next()) is not None:
        for epoch in range(1, trial.config.epochs + 1):
            study.record_seconds(trial.number, 0.5 * epoch)
            if study.report(trial.number, epoch, measured(rising(trial, epoch))):
                study.prune(trial.number)
                break
        else:
            study.complete(trial.number)


def sweep(pruner: str) -> Space:
    point = "arms.learned.points=[{label_lr: 0.3}]"
    return space(
        f"search.pruner={pruner}",
        "baselines={}",
        f"search.trials={6 if 'hyperband' not in pruner else 8}",
        "epochs=4",
        point,
    )


def noted(study: SweepStudy) -> list[dict[str, Any]]:
    """What the pruner wrote down beside the trials, from which it judges the next ones."""
    trials = study._studies["learned"].get_trials()
    return [{k: v for k, v in trial.system_attrs.items() if k.startswith("completed_rung")} for trial in trials]


def outcome(study: SweepStudy) -> tuple[list[TrialRecord], list[dict[str, Any]]]:
    return study.trial_records(), noted(study)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_kill_before_any_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruner: str) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # a kill of the process, not of the power
    searched = sweep(pruner)
    calm = SweepStudy(tmp_path / "calm", searched)
    with killed_before(-1, monkeypatch) as writes:
        drive(calm)
    if pruner != "none":
        assert "pruned" in {record.state for record in calm.trial_records()}, "the pruner has something to decide"
    wanted = outcome(SweepStudy(tmp_path / "calm", searched))
    assert wanted == outcome(calm)
    for write in range(writes[0] + 4):  # and those that begin the journal
        journal = tmp_path / f"killed{write}"
        with killed_before(write, monkeypatch) as through:
            try:
                drive(SweepStudy(journal, searched))
            except Killed:
                pass
            else:
                assert through[0] <= write, "the last ones were never reached"
        heard = Recorder()
        again = SweepStudy(journal, searched, [heard])
        drive(again)
        assert outcome(again) == wanted, f"killed before write {write}"
        assert again.missing == 0
        ends = [record.trial for record in heard.of(TrialEnded)]
        assert len(ends) == len(set(ends)), "no trial ends twice"


def test_a_trial_that_was_stopped_before_the_kill_is_ended_without_a_worker(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = sweep(PRUNERS[0])
    study = SweepStudy(journal, searched)
    pruned = None
    while pruned is None:
        trial = study.next()
        assert trial is not None
        for epoch in range(1, trial.config.epochs + 1):
            if study.report(trial.number, epoch, measured(rising(trial, epoch))):
                pruned = trial, epoch
                break
        else:
            study.complete(trial.number)
    trial, epoch = pruned
    heard: list[Event] = []
    after = SweepStudy(journal, searched, [heard.append])
    assert after.trial_records()[-1].state == "running"
    after.apply_pending_prunings()
    (end,) = heard
    assert isinstance(end, TrialEnded)
    assert (end.trial, end.state, end.reason) == (trial.number, "pruned", f"pruned after epoch {epoch}")
    record = after.trial_records()[-1]
    assert (record.state, record.metrics) == ("pruned", measured(rising(trial, epoch)))
    assert after.missing == 6 - len(after.trial_records())
