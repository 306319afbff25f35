"""The Optuna studies of a sweep, one per arm: suggestions, pruning and results.

Each arm has an Optuna study of its own, so that its sampler and its pruner compare trials of that arm alone. All
studies are in one journal file, which only the driver writes. Every trial, epoch and end is in the journal before
anybody acts on it. A driver that follows a killed one never runs an ended trial again, ends those that the pruner had
decided to stop, and runs the others again under their number, before any new one.

A trial's number counts all trials of the journal, over all arms. The randomness of a suggestion is derived from the
sweep's seed, the arm and the trial's index in it, so suggestions do not depend on how often the driver was restarted.
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
from harness.tracking.spool import events
from harness.tracking.spool.events import EpochMetrics, Event, TrialStarted
from harness.tuning.study.journal import Journal, JournalError, journal_error
from harness.tuning.study.optuna_adapters import ask, make_pruner, make_sampler, suggest_missing
from harness.tuning.study.optuna_internals import resume_trial, trial_id
from harness.tuning.study.stopping import END_INDEX, ArmStopping, violation
from harness.tuning.study.trial_record import State, TrialRecord
from harness.tuning.trial import Trial

Listener = Callable[[Event], None]

FORMAT = 4
"""Format version of the journal; each study has it as user attribute `format`."""

# User attributes of Optuna's trials.
RETRY_OF = "retry_of"  # number of the failed trial that this one runs again
PRUNER_DECISION = "pruner_decision"  # of the last epoch at which the pruner stopped the trial or noted something
END = "end"  # metrics, reason and seconds of an ended trial

STATES: dict[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass
class _RunningTrial:
    """A trial that was handed out: Optuna's handle, and the last measurement."""

    trial: Trial
    handle: optuna.Trial
    seconds: float = 0.0
    epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


class SweepStudy:
    """The trial source of a search: `harness.tuning.execution.trial_source.TrialSource` says what its methods do.

    Args:
        journal: the file; created if missing.
        listeners: called with each event; after a kill some events come a second time.

    Raises:
        JournalError: the journal cannot be read. It is unchanged then.
    """

    def __init__(self, journal: Path, space: Space, listeners: Sequence[Listener] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space = space
        self.listeners = list(listeners)
        self._journal = journal
        self._storage = Journal(journal)
        self._studies = {arm.name: self._open_study(arm) for arm in space.arms}
        self._stopping = ArmStopping(space)
        self._arms_with_retries = {
            name
            for name, study in self._studies.items()
            if any(RETRY_OF in trial.user_attrs for trial in study.get_trials(deepcopy=False))
        }
        self._running: dict[int, _RunningTrial] = {}
        trials = [(arm, trial) for arm in space.arms for trial in self._trials(arm)]
        running = [(arm, trial) for arm, trial in trials if trial.state == TrialState.RUNNING]
        self._interrupted = sorted(running, key=lambda interrupted: trial_id(interrupted[1]))

    @property
    def warnings(self) -> list[str]:
        """Damage that was found in the journal."""
        return self._storage.warnings

    # Trials to run

    def apply_pending_prunings(self) -> None:
        """End the trials that the pruner of a former driver had decided to stop when that driver was killed."""
        for interrupted in list(self._interrupted):
            arm, frozen = interrupted
            decision = frozen.user_attrs.get(PRUNER_DECISION)
            if decision is None or decision["epoch"] != frozen.last_step:
                continue  # none, or the epoch was not written any more and will be reported again
            self._set_system_attrs(frozen, decision["notes"])
            if decision["prune"]:
                self._interrupted.remove(interrupted)
                trial = self._trial(arm, frozen)
                self._running[trial.number] = _RunningTrial(
                    trial, self._resume(arm, frozen), decision["seconds"], decision["epoch"], decision["metrics"]
                )
                self.prune(trial.number)

    def next(self) -> Trial | None:
        self.apply_pending_prunings()
        if self._interrupted:
            arm, frozen = self._interrupted.pop(0)
            handle = self._resume(arm, frozen)
            suggest_missing(self._studies[arm.name], self.space, arm, handle, frozen.number)
            return self._start(arm, handle)
        unasked, shares = self._unasked_by_arm(), self.space.trials_per_arm()
        arm = max(self.space.arms, key=lambda arm: unasked[arm.name] / max(1, shares[arm.name]))
        if unasked[arm.name] == 0:
            return None
        return self._start(arm, ask(self._studies[arm.name], self.space, arm, len(self._trials(arm))))

    @property
    def missing(self) -> int:
        return sum(self.missing_by_arm().values())

    def missing_by_arm(self) -> dict[str, int]:
        return {arm: unasked + self._unfinished(arm) for arm, unasked in self._unasked_by_arm().items()}

    def retry_failed(self) -> list[int]:
        """Queue every failed trial again, with its parameters and under its number; returns these numbers."""
        numbers = []
        for arm in self.space.arms:
            for frozen in self._trials(arm):
                if frozen.state == TrialState.FAIL:
                    numbers.append(_number(frozen))
                    self._arms_with_retries.add(arm.name)
                    # Optuna does not reopen an ended trial: the retry is another trial, which names the first.
                    self._studies[arm.name].enqueue_trial(frozen.params, user_attrs={RETRY_OF: _number(frozen)})
        return numbers

    def _unasked_by_arm(self) -> dict[str, int]:
        """Trials of each arm's share that were not asked for yet; 0 where a rule has stopped the arm."""
        shares = self.space.trials_per_arm()
        unasked = {}
        for arm in self.space.arms:
            trials = self._trials(arm)
            unasked[arm.name] = 0 if self._stopping(arm, trials) else max(0, shares[arm.name] - len(trials))
        return unasked

    def _unfinished(self, arm: str) -> int:
        """Trials of an arm that were asked for and have not ended."""
        running = sum(running.trial.arm == arm for running in self._running.values())
        return running + sum(other.name == arm for other, _ in self._interrupted)

    def _trials(self, arm: Arm) -> list[FrozenTrial]:
        """The trials of an arm in order; of a trial that was run again, the last attempt."""
        trials = self._studies[arm.name].get_trials(deepcopy=False)
        if arm.name in self._arms_with_retries:
            trials = list({_number(trial): trial for trial in trials}.values())
            return [trial for trial in trials if trial.state != TrialState.WAITING]
        while trials and trials[-1].state == TrialState.WAITING:  # a point whose driver was killed before it ran
            trials.pop()
        return trials

    def _resume(self, arm: Arm, frozen: FrozenTrial) -> optuna.Trial:
        study = self._studies[arm.name]
        study.sampler = make_sampler(self.space, arm, str(frozen.number))
        return resume_trial(study, frozen)

    def _start(self, arm: Arm, handle: optuna.Trial) -> Trial:
        frozen = self._storage.get_trial(trial_id(handle))
        trial = self._trial(arm, frozen)
        self._running[trial.number] = _RunningTrial(trial, handle, epoch=frozen.last_step or 0)
        tags = {"arm": arm.name, "role": arm.role, "study": self.space.study, "state": "running"}
        tags[events.SEEDS_TAG] = str(trial.seeds)
        self._notify(TrialStarted(trial=trial.number, name=trial.name, params=trial.config.model_dump(), tags=tags))
        return trial

    def _trial(self, arm: Arm, frozen: FrozenTrial) -> Trial:
        number, params = _number(frozen), dict(frozen.params)
        name, folder = f"{arm.name}-{number}", f"trials/{number}"
        return Trial(number, name, arm.name, params, arm.config(params), folder, self.space.search.seeds_per_trial)

    # Results

    def report(self, number: int, epoch: int, metrics: dict[str, float]) -> bool:
        """Record the metrics of an epoch; returns whether the trial should be pruned there.

        Epochs that were recorded before a restart are ignored.
        """
        running = self._running[number]
        running.metrics = metrics
        # Before the journal: a kill in between makes a listener receive the epoch twice, never miss it.
        self._notify(EpochMetrics(trial=number, step=epoch, metrics=metrics))
        if epoch <= running.epoch:
            return False
        running.epoch = epoch
        value = metrics[self.space.objective.metric]
        if self.space.is_multi_objective:  # `Trial.report` refuses several objectives: Optuna has no pruner for them
            self._storage.set_trial_intermediate_value(trial_id(running.handle), epoch, value)
            return False
        # A kill may come between any two of these writes. Until the value is written, the epoch is reported again;
        # from then on, `apply_pending_prunings` finds the decision.
        prune, notes = self._decide(running, value)
        if prune or notes:
            decision = {"epoch": epoch, "prune": prune, "notes": notes, "metrics": metrics, "seconds": running.seconds}
            running.handle.set_user_attr(PRUNER_DECISION, decision)
        running.handle.report(value, epoch)
        self._set_system_attrs(running.handle, notes)
        return prune

    def record_seconds(self, number: int, seconds: float) -> None:
        self._running[number].seconds = seconds

    def record_test(self, number: int, metrics: Mapping[str, float], samples: int) -> None:
        raise AssertionError(f"trial {number}: a search measured the test part")

    def complete(self, number: int) -> None:
        self._end(number, TrialState.COMPLETE, "")

    def prune(self, number: int) -> None:
        self._end(number, TrialState.PRUNED, f"pruned after epoch {self._running[number].epoch}")

    def fail(self, number: int, reason: str) -> None:
        self._end(number, TrialState.FAIL, reason)

    def release(self, number: int) -> None:
        running = self._running.pop(number)
        frozen = self._storage.get_trial(trial_id(running.handle))
        self._interrupted.insert(0, (self.space.arm(running.trial.arm), frozen))

    def is_open(self, number: int) -> bool:
        return number in self._running

    def _decide(self, running: _RunningTrial, value: float) -> tuple[bool, dict[str, Any]]:
        """Whether the pruner stops the trial at `value`, and the system attributes it sets. Writes nothing."""
        if running.epoch >= running.trial.config.epochs:
            return False, {}
        study = self._studies[running.trial.arm]
        frozen = copy.copy(self._storage.get_trial(trial_id(running.handle)))
        frozen.intermediate_values = {**frozen.intermediate_values, running.epoch: value}
        with self._storage.collecting_system_attrs() as notes:
            return bool(study.pruner.prune(study, frozen)), notes

    def _set_system_attrs(self, trial: optuna.Trial | FrozenTrial, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self._storage.set_trial_system_attr(trial_id(trial), key, value)

    def _end(self, number: int, state: TrialState, reason: str) -> None:
        running = self._running.pop(number)
        arm, metrics = running.trial.arm, running.metrics
        values: dict[str, float] = {}
        if state == TrialState.COMPLETE:
            measured = {**metrics, "epochs": running.epoch, "busy_seconds": running.seconds}
            values = {objective.metric: float(measured[objective.metric]) for objective in self.space.objectives}
        for constraint in self.space.constraints:
            running.handle.set_constraint(str(constraint), violation(constraint, running.trial.config, metrics))
        costs = {name: value for name, value in values.items() if name not in metrics}
        ended_before = len(self._trials(self.space.arm(arm))) - 1 - self._unfinished(arm)
        end = {"metrics": metrics, "reason": reason, "seconds": running.seconds, "costs": costs}
        running.handle.set_user_attr(END, {**end, END_INDEX: ended_before})
        self._studies[arm].tell(running.handle, list(values.values()) or None, state)
        self._notify(_record(self.space.arm(arm), self._storage.get_trial(trial_id(running.handle))).end_event())

    def trial_records(self) -> list[TrialRecord]:
        """All trials, by number."""
        records = [_record(arm, frozen) for arm in self.space.arms for frozen in self._trials(arm)]
        return sorted(records, key=lambda record: record.number)

    def _open_study(self, arm: Arm) -> optuna.Study:
        pruner = make_pruner(self.space, arm)
        if arm.name in optuna.get_all_study_names(self._storage):
            study = optuna.load_study(study_name=arm.name, storage=self._storage, pruner=pruner)
        else:  # not `load_if_exists`, which writes an operation for an existing study too
            directions = [objective.direction for objective in self.space.objectives]
            study = optuna.create_study(
                study_name=arm.name, storage=self._storage, directions=directions, pruner=pruner
            )
        version = study.user_attrs.get("format")
        if version is None:  # new, or its driver was killed here
            study.set_user_attr("format", FORMAT)
        elif version != FORMAT:
            remedy = "continue with the version of the harness that wrote it"
            raise journal_error(self._journal, f"a journal of format {FORMAT}", f"format {version}", remedy)
        return study

    def _notify(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)


def read_trial_records(journal: Path, space: Space) -> list[TrialRecord]:
    """The trials of a journal, read from a copy: a driver may be writing to the file.

    Raises:
        JournalError: it cannot be read.
    """
    with TemporaryDirectory() as folder:
        copied = Path(folder) / journal.name
        try:
            shutil.copyfile(journal, copied)
            return SweepStudy(copied, space).trial_records()
        except OSError as error:
            raise journal_error(
                journal, "a journal that can be read", error.strerror, "check its permissions"
            ) from error
        except JournalError as error:
            raise JournalError(str(error).replace(str(copied), str(journal))) from error


def _number(frozen: FrozenTrial) -> int:
    """A trial's number; a retry has that of the first attempt."""
    return int(frozen.user_attrs.get(RETRY_OF, trial_id(frozen)))


def _record(arm: Arm, frozen: FrozenTrial) -> TrialRecord:
    end = frozen.user_attrs.get(END, {})
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
