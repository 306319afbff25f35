"""The journal file: Optuna's, opened by its one writer, or refused in words.

    line = one operation of Optuna's as JSON, with the CRC-32 of what it is without it as its last key, a newline

Optuna steps over a key that it does not know, so it and its dashboard read the file as one of theirs. Each study says
in which format this project writes into it, as the attribute `format`:

    1   what was written before formats were said
    2   a decision of the pruner is written down before what it rests on (`harness.tuning.study.sweep_study`)
    3   every line has its checksum

Older formats are read, and gone on with: once a line has a checksum, all after it have. A newer format, a line that is
none, or one whose checksum does not fit is refused with what to do. Where nothing whole follows the damage it is a
tail, such as a kill or a power cut leaves: it is put aside, and told. Whatever it was, it is asked for again.
"""

import copy
import json
import os
import zlib
from collections.abc import Container, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation, JournalStorageReplayResult
from optuna.trial import FrozenTrial, TrialState

from harness.tuning.storage.sweep_folder import FolderError

FORMAT = 3
FORMATS = range(1, FORMAT + 1)
ATTRIBUTE = "format"

SUM = "crc32"
MARK = f',"{SUM}":"'.encode()
CUT = ".cut"
"""What is put behind a journal's name for the file of what was cut off it."""

ANEW = "or begin anew with another --name"


class JournalError(FolderError):
    """A journal that cannot be read; the message says where, why and what to do."""


class Journal(JournalStorage):
    """Optuna's storage, which can hold back what a pruner notes while it judges.

    Args:
        file: created if missing.

    Attributes:
        warnings: what was found damaged and put aside, in words.

    Raises:
        JournalError: it is damaged, or of a newer format. Nothing was changed then.
    """

    def __init__(self, file: Path) -> None:
        self.warnings: list[str] = []
        self._held: dict[str, Any] | None = None
        self._behind = True
        self._trials: dict[int, list[FrozenTrial]] = {}
        try:
            file.open("ab").close()  # one that may be read alone is told now, not at its first line
            backend = _Lines(str(file), lock_obj=_NoLock())
            whole = _whole(file)
            backend.most = whole.lines
            super().__init__(backend)
        except OSError as error:
            raise JournalError(f"{file}: expected a journal that can be written, got: {error.strerror}") from error
        except JournalError:
            raise
        except Exception as error:
            unknown = f"{file}: expected a journal, got: {error}; put a copy back, {ANEW}"
            raise JournalError(_damage(file) or unknown) from error
        for study in self.get_all_studies():
            _check_format(file, study.user_attrs.get(ATTRIBUTE, 1))
        self._put_aside(file, whole)
        backend.most = None

    def _put_aside(self, file: Path, whole: "_Whole") -> None:
        """Take off what follows the whole lines."""
        with file.open("rb") as stream:
            stream.seek(whole.end)
            tail = stream.read()
        if not tail:
            return
        aside = file.with_name(file.name + CUT)
        with aside.open("ab") as stream:
            stream.write(tail + b"\n")
        with file.open("r+b") as stream:
            stream.truncate(whole.end)
        self.warnings.append(
            f"{file}: expected an operation of Optuna's journal after line {whole.lines}, got a damaged end of "
            f"{len(tail)} bytes; it is kept in {aside.name}, and what it told is asked for again"
        )

    @contextmanager
    def holding(self) -> Iterator[dict[str, Any]]:
        """Collect the system attributes that trials are given meanwhile, and write none of them."""
        self._held = {}
        try:
            yield self._held
        finally:
            self._held = None

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if self._held is None:
            super().set_trial_system_attr(trial_id, key, value)
        else:
            self._held[key] = value

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Optuna's, without a look at each: it is asked several times for each trial, over all before it."""
        with self._thread_lock:
            self._sync_with_backend()
            self._replay_result.get_study(study_id)  # or a KeyError
            trials = self._trials.get(study_id, [])[:]
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def _write_log(self, op_code: int, extra_fields: dict[str, Any]) -> None:
        self._behind = True
        super()._write_log(op_code, extra_fields)

    def _sync_with_backend(self) -> None:
        """Optuna's, for the one writer: there is nothing to be read but what it wrote."""
        if not self._behind:
            return
        logs = list(self._backend.read_logs(self._replay_result.log_number_read))
        try:
            self._replay_result.apply_logs(logs)
        finally:
            self._keep_up(logs)
        self._behind = False

    def _keep_up(self, logs: list[dict[str, Any]]) -> None:
        """Have the trials of each study, in order, as the operations left them."""
        known = self._replay_result
        for study_id, ids in known._study_id_to_trial_ids.items():
            listed = self._trials.setdefault(study_id, [])
            listed += [known._trials[trial_id] for trial_id in ids[len(listed) :]]
        for log in logs:
            trial = known._trials.get(log.get("trial_id", -1))
            if trial is not None:
                self._trials[known._trial_id_to_study_id[trial._trial_id]][trial.number] = trial

    def say_format(self, study_id: int) -> None:
        """Write into a study in which format it goes on."""
        if self.get_study_user_attrs(study_id).get(ATTRIBUTE, 1) != FORMAT:
            self.set_study_user_attr(study_id, ATTRIBUTE, FORMAT)


class _NoLock(BaseJournalFileLock):
    """The sweep's folder is locked by its one driver; a lock a write would only cost time, and outlive a kill."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class _Lines(JournalFileBackend):
    """Optuna's file, with a checksum in every line, and no line put into it by halves: what a full disk took of one is
    taken off again. `most`: how many lines are to be read, where not all.
    """

    most: int | None = None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        before = os.path.getsize(self._file_path)
        try:
            super().append_logs([{**log, SUM: _sum(json.dumps(log, separators=(",", ":")).encode())} for log in logs])
        except OSError:
            with suppress(OSError):
                os.truncate(self._file_path, before)
            raise

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        left = None if self.most is None else max(0, self.most - log_number_from)
        yield from islice(super().read_logs(log_number_from), left)


@dataclass(frozen=True)
class _Whole:
    """The lines of a journal up to its damaged end: how many, and the byte behind them."""

    lines: int = 0
    end: int = 0


def _whole(file: Path) -> _Whole:
    """What is whole of a journal.

    Raises:
        JournalError: a line is damaged that is no end of a journal, or says that the format is a newer one.
    """
    whole, damaged, end, summed = _Whole(), 0, 0, False
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            end += len(line)
            found = _fits(line)
            summed = summed or found is True
            if found or (found is None and not summed and _operation(line) is not None):
                if damaged:
                    raise JournalError(_damaged(file, damaged, "something else"))
                whole = _Whole(number, end)
            else:
                damaged = damaged or number
                if found is None:
                    _check_said(file, line, number)
    if damaged and not whole.lines and (damaged < number or line.endswith(b"\n")):  # more than a first line cut short
        raise JournalError(_damaged(file, damaged, "something else"))
    return whole


def _sum(body: bytes) -> str:
    return f"{zlib.crc32(body):08x}"


def _fits(line: bytes) -> bool | None:
    """Whether the checksum of a line is that of its operation; None where it has none."""
    body, mark, sum_ = line.rpartition(MARK)
    if not line.endswith(b"\n"):
        return False
    if not mark:
        return None
    return sum_ == _sum(body + b"}").encode() + b'"}\n'


def _operation(line: bytes) -> dict[str, Any] | None:
    try:
        operation = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return operation if isinstance(operation, dict) and "op_code" in operation else None


def _check_said(file: Path, line: bytes, number: int) -> None:
    """What a newer version wrote may look damaged to this one."""
    operation = _operation(line) or {}
    if operation.get("op_code") == JournalOperation.SET_STUDY_USER_ATTR:
        said = operation.get("user_attr")
        if isinstance(said, dict) and ATTRIBUTE in said:
            _check_format(file, said[ATTRIBUTE], number)


def _check_format(file: Path, found: Any, line: int | None = None) -> None:
    where = str(file) if line is None else f"{file}:{line}"
    if found not in FORMATS:
        raise JournalError(
            f"{where}: expected a journal of format {FORMATS[0]} to {FORMAT}, got format {found}; "
            f"go on with the version of the harness that wrote it, {ANEW}"
        )


def _damage(file: Path) -> str:
    """Where a journal that Optuna cannot read goes wrong, in words; empty where no line is to blame.

    Raises:
        JournalError: a line says that the format is a newer one.
    """
    replay = JournalStorageReplayResult("nobody-")
    for number, line in enumerate(file.read_bytes().splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            operation = json.loads(line)
            kind = operation["op_code"]
        except (ValueError, TypeError, KeyError):
            return _damaged(file, number, "something else")
        if kind == JournalOperation.SET_STUDY_USER_ATTR and ATTRIBUTE in operation.get("user_attr", {}):
            _check_format(file, operation["user_attr"][ATTRIBUTE], number)
        if kind not in list(JournalOperation):
            return (
                f"{file}:{number}: expected an operation that Optuna {optuna.__version__} knows, got number {kind}; "
                f"go on with the Optuna that wrote it, {ANEW}"
            )
        try:
            replay.apply_logs([operation])
        except Exception as error:
            return _damaged(file, number, f"one that does not fit ({type(error).__name__}: {error})")
    return ""


def _damaged(file: Path, number: int, got: str) -> str:
    return (
        f"{file}:{number}: expected an operation of Optuna's journal, got {got}; the file is damaged there: put a "
        f"copy back, or cut it off before that line (what followed is run again), {ANEW}"
    )
