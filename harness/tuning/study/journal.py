"""The journal of a sweep: Optuna's journal storage, with one writer and a checksum in every line.

    line = one operation of Optuna's journal as JSON; the last key is its CRC-32 (`harness.common.checksums`)

Optuna ignores the extra key: it and its dashboard read the file as one of their own. A damaged line before intact ones
is refused. A damaged end, which a kill or a power cut leaves, is moved to `study.journal.cut`; what it recorded is run
again.
"""

import copy
import io
import json
import os
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from harness.common.checksums import decode_line, encode_line, is_intact
from harness.tuning.storage.sweep_folder import FolderError
from harness.tuning.study.optuna_internals import trial_id


class JournalError(FolderError):
    """A journal that cannot be read; the message says where, why and what to do."""


def journal_error(where: object, expected: str, got: object, remedy: str) -> JournalError:
    """The error for a journal that cannot be used."""
    return JournalError(f"{where}: expected {expected}, got {got}; {remedy}, or start a new sweep with another --name")


class Journal(JournalStorage):
    """Optuna's journal storage for the only process that writes the file, which is created if missing.

    Attributes:
        warnings: what was damaged and moved away.

    Raises:
        JournalError: the file is damaged. It is unchanged then.
    """

    def __init__(self, path: Path) -> None:
        self._collected: dict[str, Any] | None = None
        self._trials: dict[int, list[FrozenTrial]] = {}
        self._study_of_trial: dict[int, int] = {}
        self._file = JournalFile(path)
        try:
            super().__init__(self._file)
        except JournalError:
            raise
        except Exception as error:  # whatever Optuna raises for an operation that does not follow from those before it
            expected = f"an operation that Optuna {optuna.__version__} can apply"
            got, remedy = f"{type(error).__name__}: {error}", "continue with the Optuna that wrote it"
            raise journal_error(f"{path}:{self._file.line}", expected, got, remedy) from error
        self.warnings = self._file.cut_damaged_end()
        for study in self.get_all_studies():
            study_id = self.get_study_id_from_name(study.study_name)
            self._trials[study_id] = super().get_all_trials(study_id, deepcopy=False)
            self._study_of_trial |= dict.fromkeys(map(trial_id, self._trials[study_id]), study_id)

    @contextmanager
    def collecting_system_attrs(self) -> Iterator[dict[str, Any]]:
        """Collect the system attributes that trials are given in this context instead of writing them."""
        self._collected = {}
        try:
            yield self._collected
        finally:
            self._collected = None

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        if self._collected is None:
            super().set_trial_system_attr(trial_id, key, value)
        else:
            self._collected[key] = value

    # Optuna's own `get_all_trials` loops over all trials, several times for each ask and each result. These lists are
    # updated by what was written since the last call.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        new = super().create_new_trial(study_id, template_trial)
        self._trials.setdefault(study_id, []).append(self.get_trial(new))
        self._study_of_trial[new] = study_id
        return new

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        for changed in self._file.pop_changed():
            trial = self.get_trial(changed)
            self._trials[self._study_of_trial[changed]][trial.number] = trial
        trials = self._trials.get(study_id, [])
        trials = trials[:] if states is None else [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


class JournalFile(BaseJournalBackend):
    """The file. Nobody else writes to it, so it is read once; there is no lock, which could outlive a kill."""

    def __init__(self, path: Path) -> None:
        self.line = 0  # number of the last line read
        self._path = path
        try:
            path.open("ab").close()  # fails for a file that can only be read
            lines = list(io.BytesIO(path.read_bytes()))
        except OSError as error:
            raise journal_error(
                path, "a journal that can be written", error.strerror, "check its permissions"
            ) from error
        intact = [is_intact(line) for line in lines]
        self._n_intact = sum(intact)
        only_cut_short = len(lines) == 1 and not lines[0].endswith(b"\n")
        if not all(intact[: self._n_intact]) or (lines and not self._n_intact and not only_cut_short):
            raise self._damaged(intact.index(False) + 1)
        self._damaged_end = b"".join(lines[self._n_intact :])
        self._unread: Iterable[dict[str, Any]] = self._decode(lines[: self._n_intact])
        self._changed: list[int] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        unread, self._unread = self._unread, ()
        yield from unread

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [encode_line(log, allow_nan=True) for log in logs]
        size = self._path.stat().st_size
        try:
            with self._path.open("ab") as stream:
                stream.write(b"".join(lines))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:  # a full disk may have taken half a line
            with suppress(OSError):
                os.truncate(self._path, size)
            raise
        self._unread = [*self._unread, *map(json.loads, lines)]
        self._changed += [log["trial_id"] for log in logs if "trial_id" in log]

    def pop_changed(self) -> Iterable[int]:
        """Ids of the trials that were written to since the last call."""
        changed, self._changed = dict.fromkeys(self._changed), []
        return changed

    def cut_damaged_end(self) -> list[str]:
        """Move what follows the intact lines to another file; returns what to tell the user."""
        size = len(self._damaged_end)
        if not size:
            return []
        cut = self._path.with_name(f"{self._path.name}.cut")
        with cut.open("ab") as stream:
            stream.write(self._damaged_end + b"\n")
        os.truncate(self._path, self._path.stat().st_size - size)
        where = f"the {size} bytes after line {self._n_intact}"
        return [f"{self._path}: {where} are damaged and were moved to {cut.name}; what they recorded is run again"]

    def _decode(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        for self.line, line in enumerate(lines, start=1):
            if (operation := decode_line(line)) is None:
                raise self._damaged(self.line)
            yield operation

    def _damaged(self, number: int) -> JournalError:
        expected = "an operation of Optuna's journal with its checksum"
        remedy = "delete it and all lines after it (what they recorded is run again), put a copy of the file back"
        return journal_error(f"{self._path}:{number}", expected, "a damaged line", remedy)


class ReadOnlyStorage(JournalStorage):
    """The studies of a journal, one per arm, for readers beside the driver that writes it."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(path)
        super().__init__(_ReadOnlyFile(str(path)))


class _ReadOnlyFile(JournalFileBackend):
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError("only the driver of a sweep writes its journal")
