"""The journal file: Optuna's, opened by its one writer, or refused in words.

    line = one operation of Optuna's as JSON, a newline

Each study says in which format this project writes into it, as the attribute `format`:

    1   what was written before formats were said
    2   a decision of the pruner is written down before what it rests on (`harness.tuning.ledger`)

Older formats are read, and gone on with; a newer one, or a line that is none, is refused with what to do. A kill may
cut the last line short: whatever it was, nobody was told of it, and it is taken off.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation, JournalStorageReplayResult

from harness.tuning.folder import FolderError

FORMAT = 2
FORMATS = range(1, FORMAT + 1)
ATTRIBUTE = "format"

ANEW = "or begin anew with another --name"


class LedgerError(FolderError):
    """A journal that cannot be read; the message says where, why and what to do."""


class Journal(JournalStorage):
    """Optuna's storage, which can hold back what a pruner notes while it judges.

    Args:
        file: created if missing.

    Raises:
        LedgerError: it is damaged, or of a newer format. Nothing was changed then.
    """

    def __init__(self, file: Path) -> None:
        self._held: dict[str, Any] | None = None
        try:
            file.open("ab").close()  # one that may be read alone is told now, not at its first line
            super().__init__(_WholeLines(str(file), lock_obj=_NoLock()))
            _check_last(file)  # Optuna would step over it
        except OSError as error:
            raise LedgerError(f"{file}: expected a journal that can be written, got: {error.strerror}") from error
        except Exception as error:
            unknown = f"{file}: expected a journal, got: {error}; put a copy back, {ANEW}"
            raise LedgerError(_damage(file) or unknown) from error
        for study in self.get_all_studies():
            _check_format(file, study.user_attrs.get(ATTRIBUTE, 1))
        _take_off_tail(file)

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

    def say_format(self, study_id: int) -> None:
        """Write into a study in which format it goes on."""
        if self.get_study_user_attrs(study_id).get(ATTRIBUTE, 1) != FORMAT:
            self.set_study_user_attr(study_id, ATTRIBUTE, FORMAT)


class _WholeLines(JournalFileBackend):
    """Optuna's file, into which no line is put by halves: what a full disk took of one is taken off again."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        before = os.path.getsize(self._file_path)
        try:
            super().append_logs(logs)
        except OSError:
            with suppress(OSError):
                os.truncate(self._file_path, before)
            raise


class _NoLock(BaseJournalFileLock):
    """The sweep's folder is locked by its one driver; a lock a write would only cost time, and outlive a kill."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _take_off_tail(file: Path) -> None:
    whole = file.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        with file.open("r+b") as stream:
            stream.truncate(end)


def _check_last(file: Path) -> None:
    whole = file.read_bytes().splitlines(keepends=True)
    last = next((line for line in reversed(whole) if line.endswith(b"\n")), None)
    if last is not None:
        json.loads(last)


def _check_format(file: Path, found: Any, line: int | None = None) -> None:
    where = str(file) if line is None else f"{file}:{line}"
    if found not in FORMATS:
        raise LedgerError(
            f"{where}: expected a journal of format {FORMATS[0]} to {FORMAT}, got format {found}; "
            f"go on with the version of the harness that wrote it, {ANEW}"
        )


def _damage(file: Path) -> str:
    """Where a journal that Optuna cannot read goes wrong, in words; empty where no line is to blame.

    Raises:
        LedgerError: a line says that the format is a newer one.
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
