"""The ledger: one Optuna study an arm, all in one journal file, written by the driver alone.

The journal is the truth about a sweep. Every trial, intermediate value and end goes into it before anybody is told, so
a driver that is killed at any moment can be followed by another, which finds:

- trials that ended: never run again, counted in the budget;
- trials that the pruner had stopped: ended so, by the decision that was written down before what it rests on;
- trials that were running: run again under their own number, before anything new is asked for.

Each arm has a study of its own, so that its sampler and its pruner compare like with like. A trial's number is its
place in the journal, over all arms. The randomness of each suggestion is derived from the sweep's seed, the arm and the
trial's place in it: suggestions depend on what is known, not on how often the driver was restarted.

What happens is told to listeners as the records of `harness.tracking.spool.event_log`.
"""

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from harness.space import Arm, Space
from harness.tracking.spool import event_log
from harness.tracking.spool.event_log import (
    DatasetUsed,
    EpochMetrics,
    Record,
    TrialStarted,
    TrialWarning,
)
from harness.tuning.study.journal import Journal, JournalError
from harness.tuning.study.optuna_adapters import ask, complete, pruner, sampler
from harness.tuning.study.stopping import PLACE, ArmStopping, violation
from harness.tuning.study.trial_record import State, TrialRecord, trial_ended
from harness.tuning.trial import Trial

Listener = Callable[[Record], None]

RETRIES = "retries"
"""Attribute of a trial of Optuna's: which trial of ours it tries again."""

PRUNER_DECISION = "judged"
"""Attribute of a trial: at which epoch the pruner last stopped it or noted something, and what."""

STATES: dict[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass
class _Open:
    """A trial under way: Optuna's handle, and what was last measured."""

    trial: Trial
    handle: optuna.Trial
    seconds: float = 0.0
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


class SweepStudy:
    """The studies of one sweep.

    Args:
        journal: the file; created if missing.
        space: what is searched.
        listeners: told of what happens; after a kill some of it is told again.

    Raises:
        JournalError: the journal cannot be read. Nothing was changed then.
    """

    def __init__(self, journal: Path, space: Space, listeners: Sequence[Listener] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space = space
        self.listeners = list(listeners)
        self._storage = Journal(journal)
        self._studies = {arm.name: self._study(arm) for arm in space.arms}
        self._enough = ArmStopping(space)
        self._retried = {
            name
            for name, study in self._studies.items()
            if any(RETRIES in trial.user_attrs for trial in study.get_trials(deepcopy=False))
        }
        self._open: dict[int, _Open] = {}
        self._orphans = [
            (arm, frozen) for arm in space.arms for frozen in self._trials(arm) if frozen.state == TrialState.RUNNING
        ]
        self._orphans.sort(key=lambda orphan: orphan[1]._trial_id)

    @property
    def warnings(self) -> list[str]:
        """What was found damaged in the journal, in words."""
        return self._storage.warnings

    # What to run

    def apply_pending_prunings(self) -> None:
        """Carry out what the pruner had decided when a former driver was killed."""
        for orphan in list(self._orphans):
            arm, frozen = orphan
            judged = frozen.user_attrs.get(PRUNER_DECISION)
            if judged is None or judged["epoch"] != frozen.last_step:
                continue  # nothing, or what it rests on was never written: that epoch will be judged again
            self._note(frozen._trial_id, judged["notes"])
            if judged["prune"]:
                self._orphans.remove(orphan)
                trial = self._trial(arm, frozen)
                handle = self._handle(arm, frozen)
                self._open[trial.number] = _Open(trial, handle, judged["seconds"], judged["epoch"], judged["metrics"])
                self.prune(trial.number)

    def next(self) -> Trial | None:
        """The next trial to run, or None when the budget is asked for."""
        self.apply_pending_prunings()
        if self._orphans:
            return self._begin(*self._take_up())
        arm = self._arm_due()
        if arm is None:
            return None
        return self._begin(arm, ask(self._studies[arm.name], self.space, arm, len(self._trials(arm))))

    @property
    def missing(self) -> int:
        """Trials that are still to be run, or run to their end, unless a rule stops the search before."""
        return sum(self.missing_by_arm().values())

    def missing_by_arm(self) -> dict[str, int]:
        """The same, arm by arm."""
        return {arm: due + self._under_way(arm) for arm, due in self._due().items()}

    def _due(self) -> dict[str, int]:
        """For each arm, trials of its share that were not asked for yet; 0 where a rule says that it had enough."""
        shares = self.space.shares()
        due = {}
        for arm in self.space.arms:
            trials = self._trials(arm)
            due[arm.name] = 0 if self._enough(arm, trials) else max(0, shares[arm.name] - len(trials))
        return due

    def _arm_due(self) -> Arm | None:
        """The arm that is furthest behind its share; the first of equals."""
        due, shares = self._due(), self.space.shares()
        waiting = [arm for arm in self.space.arms if due[arm.name] > 0]
        return max(waiting, key=lambda arm: due[arm.name] / shares[arm.name], default=None)

    def _trials(self, arm: Arm) -> list[FrozenTrial]:
        """What was ever asked for in this arm, in order; of a trial that is tried again, the last attempt."""
        trials = self._studies[arm.name].get_trials(deepcopy=False)
        if arm.name in self._retried:
            trials = list({_number(trial): trial for trial in trials}.values())
            return [trial for trial in trials if trial.state != TrialState.WAITING]
        while trials and trials[-1].state == TrialState.WAITING:  # a point, by a driver killed before it was taken up
            trials.pop()
        return trials

    def retry_failed(self) -> list[int]:
        """Have every failed trial run again, with its settings and under its number; returns those numbers."""
        numbers = []
        for arm in self.space.arms:
            for frozen in self._trials(arm):
                if frozen.state == TrialState.FAIL:
                    numbers.append(_number(frozen))
                    self._retried.add(arm.name)
                    # A study keeps its ends for good: the new attempt is a trial of Optuna's that says whose it is.
                    self._studies[arm.name].enqueue_trial(frozen.params, user_attrs={RETRIES: _number(frozen)})
        return numbers

    def _take_up(self) -> tuple[Arm, optuna.Trial]:
        """A trial that a former driver left running; what was asked but not all suggested is suggested now."""
        arm, frozen = self._orphans.pop(0)
        return arm, complete(self._studies[arm.name], self.space, arm, self._handle(arm, frozen), frozen.number)

    def _handle(self, arm: Arm, frozen: FrozenTrial) -> optuna.Trial:
        study = self._studies[arm.name]
        study.sampler = sampler(self.space, arm, str(frozen.number))
        return optuna.Trial(study, frozen._trial_id)

    def _begin(self, arm: Arm, handle: optuna.Trial) -> Trial:
        frozen = self._storage.get_trial(handle._trial_id)
        trial = self._trial(arm, frozen)
        self._open[trial.number] = _Open(trial, handle, step=frozen.last_step or 0)
        tags = {"arm": arm.name, "role": arm.role, "study": self.space.study, "state": "running"}
        tags[event_log.SEEDS] = str(trial.seeds)
        self._tell(TrialStarted(trial=trial.number, name=trial.name, params=trial.config.model_dump(), tags=tags))
        return trial

    def _trial(self, arm: Arm, frozen: FrozenTrial) -> Trial:
        number, params = _number(frozen), dict(frozen.params)
        name = f"{arm.name}-{number}"
        seeds = self.space.search.seeds_per_trial
        return Trial(number, name, arm.name, params, arm.config(params), f"trials/{number}", seeds)

    # What came of it

    def report(self, number: int, step: int, metrics: dict[str, float]) -> bool:
        """Write down the metrics after epoch `step`; returns whether the trial should be pruned there.

        Epochs measured already, before a restart, are read over.
        """
        entry = self._open[number]
        entry.metrics = metrics
        # Told before it is written down: a kill between the two makes a listener hear it twice, never miss it.
        self._tell(EpochMetrics(trial=number, step=step, metrics=metrics))
        if step <= entry.step:
            return False
        entry.step = step
        value = metrics[self.space.objective.metric]
        if self.space.several:  # Optuna's own `report` refuses several: there is nothing to prune by
            self._storage.set_trial_intermediate_value(entry.handle._trial_id, step, value)
            return False
        # A kill may come between any two of these writes. Before the value is there, the epoch is judged again; once it
        # is, `apply_pending_prunings` finds the decision.
        prune, notes = self._judge(entry, value)
        if prune or notes:
            decision = {"epoch": step, "prune": prune, "notes": notes}
            entry.handle.set_user_attr(PRUNER_DECISION, decision | {"metrics": metrics, "seconds": entry.seconds})
        entry.handle.report(value, step)
        self._note(entry.handle._trial_id, notes)
        return prune

    def _judge(self, entry: _Open, value: float) -> tuple[bool, dict[str, Any]]:
        """Whether the pruner stops a trial that has come to `value` at its epoch, and what it notes. Writes nothing."""
        if entry.step >= entry.trial.config.epochs:
            return False, {}
        study = self._studies[entry.trial.arm]
        frozen = copy.copy(self._storage.get_trial(entry.handle._trial_id))
        frozen.intermediate_values = {**frozen.intermediate_values, entry.step: value}
        with self._storage.holding() as notes:
            return bool(study.pruner.prune(study, frozen)), notes

    def _note(self, trial_id: int, notes: Mapping[str, Any]) -> None:
        for key, value in notes.items():
            self._storage.set_trial_system_attr(trial_id, key, value)

    def record_dataset(self, number: int, parts: Sequence[Mapping[str, Any]]) -> None:
        """Tell what data a trial works with; after a restart it is told again."""
        self._tell(DatasetUsed(trial=number, parts=tuple(parts)))

    def record_warning(self, number: int, text: str) -> None:
        """Tell what a user should know of a trial's files."""
        self._tell(TrialWarning(trial=number, text=text))

    def record_test(self, number: int, metrics: Mapping[str, float], samples: int) -> None:
        """Refuse a measurement on the test part: no trial of a search may make one."""
        raise AssertionError(f"trial {number}: a search measured the test part")

    def complete(self, number: int) -> None:
        self._end(number, TrialState.COMPLETE, "")

    def prune(self, number: int) -> None:
        self._end(number, TrialState.PRUNED, f"pruned after epoch {self._open[number].step}")

    def fail(self, number: int, reason: str) -> None:
        self._end(number, TrialState.FAIL, reason)

    def release(self, number: int) -> None:
        """Hand a trial back that nobody is at any more, its worker lost: it is the next to be run, under its number."""
        entry = self._open.pop(number)
        self._orphans.insert(0, (self.space.arm(entry.trial.arm), self._storage.get_trial(entry.handle._trial_id)))

    def is_open(self, number: int) -> bool:
        return number in self._open

    def record_seconds(self, number: int, seconds: float) -> None:
        """Say for how many seconds the trial has been computing in all."""
        self._open[number].seconds = seconds

    def _end(self, number: int, state: TrialState, reason: str) -> None:
        entry = self._open.pop(number)
        study = self._studies[entry.trial.arm]
        values = self._values(entry) if state == TrialState.COMPLETE else {}
        for constraint in self.space.constraints:
            entry.handle.set_constraint(str(constraint), violation(constraint, entry.trial.config, entry.metrics))
        costs = {name: value for name, value in values.items() if name not in entry.metrics}
        place = len(self._trials(self.space.arm(entry.trial.arm))) - 1 - self._under_way(entry.trial.arm)
        end = {"metrics": entry.metrics, "reason": reason, "seconds": entry.seconds, "costs": costs, PLACE: place}
        entry.handle.set_user_attr("end", end)
        study.tell(entry.handle, list(values.values()) or None, state)
        self._tell(trial_ended(number, STATES[state], reason, entry.step, costs))

    def _under_way(self, arm: str) -> int:
        """Trials of an arm that have begun and are not at their end, in somebody's hands or not."""
        held = sum(other.trial.arm == arm for other in self._open.values())
        return held + sum(other.name == arm for other, _ in self._orphans)

    def _values(self, entry: _Open) -> dict[str, float]:
        """The objectives of a trial at its end, in order: what it measured last, and what it cost."""
        known = {**entry.metrics, "epochs": entry.step, "busy_seconds": entry.seconds}
        return {objective.metric: float(known[objective.metric]) for objective in self.space.objectives}

    # What is known

    def trial_records(self) -> list[TrialRecord]:
        """All trials, by number."""
        entries = [self._entry(arm, frozen) for arm in self.space.arms for frozen in self._trials(arm)]
        return sorted(entries, key=lambda entry: entry.number)

    def _entry(self, arm: Arm, frozen: FrozenTrial) -> TrialRecord:
        end = frozen.user_attrs.get("end", {})
        return TrialRecord(
            number=_number(frozen),
            arm=arm.name,
            state=STATES[frozen.state],
            params=dict(frozen.params),
            values=tuple(frozen.values) if frozen.state == TrialState.COMPLETE else (),
            feasible=all(worst <= 0 for worst in frozen.constraints.values()),
            metrics=end.get("metrics", {}),
            reason=end.get("reason", ""),
            seconds=end.get("seconds", 0.0),
            curve=dict(frozen.intermediate_values),
            costs=end.get("costs", {}),
        )

    def _study(self, arm: Arm) -> optuna.Study:
        stops = pruner(self.space, arm)
        if arm.name in optuna.get_all_study_names(self._storage):
            study = optuna.load_study(study_name=arm.name, storage=self._storage, pruner=stops)
        else:
            directions = [objective.direction for objective in self.space.objectives]
            study = optuna.create_study(study_name=arm.name, storage=self._storage, directions=directions, pruner=stops)
        self._storage.say_format(study._study_id)
        return study

    def _tell(self, record: Record) -> None:
        for listener in self.listeners:
            listener(record)


def _number(frozen: FrozenTrial) -> int:
    """The trial's place in the journal, over all arms; of a further attempt, that of the first."""
    return int(frozen.user_attrs.get(RETRIES, frozen._trial_id))


def read_trial_records(journal: Path, space: Space) -> list[TrialRecord]:
    """What a journal holds, without a touch to it: another driver may be writing there.

    Raises:
        JournalError: it cannot be read.
    """
    with TemporaryDirectory() as folder:
        copied = Path(folder) / journal.name
        try:
            shutil.copyfile(journal, copied)
        except OSError as error:
            raise JournalError(f"{journal}: expected a journal that can be read, got: {error.strerror}") from error
        try:
            return SweepStudy(copied, space).trial_records()
        except JournalError as error:
            raise JournalError(str(error).replace(str(copied), str(journal))) from error
