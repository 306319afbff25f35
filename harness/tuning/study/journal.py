"""The journal of a sweep: Optuna's journal storage, with one writer and a checksum in every line.

    line = one operation of Optuna's journal as JSON; the last key is its CRC-32 (`harness.common.checksums`)

Optuna ignores the extra key: it and its dashboard read the file as one of their own. Each study states the format of
the journal in its user attribute `format`. Another format is refused, and so is a damaged line before intact ones. A
damaged end, which a kill or a power cut leaves, is moved to `study.journal.cut`; what it recorded is run again.
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

from harness.common.checksums import KEY, decode_line, encode_line, is_intact
from harness.tuning.storage.sweep_folder import FolderError
from harness.tuning.study.optuna_internals import trial_id

FORMAT = 4
FORMAT_ATTRIBUTE = "format"

CUT_SUFFIX = ".cut"

REMEDY = "put a copy of the file back, or start a new sweep with another --name"


class JournalError(FolderError):
    """A journal that cannot be read; the message says where, why and what to do."""


class Journal(JournalStorage):
    """Optuna's journal storage for the only process that writes the file.

    Args:
        path: created if missing.

    Attributes:
        warnings: what was damaged and moved away.

    Raises:
        JournalError: the file is damaged or has another format. It is unchanged then.
    """

    def __init__(self, path: Path) -> None:
        self._collected: dict[str, Any] | None = None
        self._trials: dict[int, list[FrozenTrial]] = {}
        self._study_of_trial: dict[int, int] = {}
        try:
            self._file = JournalFile(path)
            super().__init__(self._file)
        except JournalError:
            raise
        except OSError as error:
            raise JournalError(f"{path}: expected a journal that can be written, got: {error.strerror}") from error
        except Exception as error:  # whatever Optuna raises for an operation that does not follow from those before it
            raise JournalError(
                f"{path}:{self._file.line}: expected an operation that Optuna {optuna.__version__} can apply, got "
                f"{type(error).__name__}: {error}; continue with the Optuna that wrote it, {REMEDY}"
            ) from error
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
        self.line = 0
        self._path = path
        path.open("ab").close()  # fails for a file that can only be read
        content = path.read_bytes()
        self._intact = _intact_lines(path, content)
        self._unread: Iterable[dict[str, Any]] = self._decode(content[: self._intact[1]])
        self._damaged_end = content[self._intact[1] :]
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
        if not self._damaged_end:
            return []
        lines, end = self._intact
        cut = self._path.with_name(self._path.name + CUT_SUFFIX)
        with cut.open("ab") as stream:
            stream.write(self._damaged_end + b"\n")
        os.truncate(self._path, end)
        return [
            f"{self._path}: the {len(self._damaged_end)} bytes after line {lines} are damaged and were moved to "
            f"{cut.name}; what they recorded is run again"
        ]

    def _decode(self, content: bytes) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(io.BytesIO(content), start=1):
            self.line = number
            operation = decode_line(line)
            if operation is None:
                raise _damaged(self._path, number)
            _check_format(self._path, number, {**operation, KEY: ""})
            yield operation


def _intact_lines(path: Path, content: bytes) -> tuple[int, int]:
    """How many lines are intact, and the byte behind the last of them.

    Raises:
        JournalError: a damaged line precedes an intact one, or states another format; or no line is intact.
    """
    intact, position, damaged = (0, 0), 0, 0
    for number, line in enumerate(io.BytesIO(content), start=1):
        position += len(line)
        if is_intact(line):
            if damaged:
                raise _damaged(path, damaged)
            intact = (number, position)
        else:
            damaged = damaged or number
            with suppress(ValueError, RecursionError):
                _check_format(path, number, json.loads(line))
    if intact == (0, 0) and b"\n" in content:  # more than the first line cut short
        raise _damaged(path, damaged)
    return intact


def _check_format(path: Path, number: int, operation: Any) -> None:
    """Refuse an operation that states another format, and a first one without a checksum, as older formats had it."""
    if not isinstance(operation, dict):
        return
    attributes = operation.get("user_attr")
    if isinstance(attributes, dict) and attributes.get(FORMAT_ATTRIBUTE, FORMAT) != FORMAT:
        found = f"format {attributes[FORMAT_ATTRIBUTE]}"
    elif number == 1 and "op_code" in operation and KEY not in operation:
        found = "one without checksums"
    else:
        return
    raise JournalError(
        f"{path}:{number}: expected a journal of format {FORMAT}, got {found}; continue with the version of the "
        "harness that wrote it, or start a new sweep with another --name"
    )


def _damaged(path: Path, number: int) -> JournalError:
    return JournalError(
        f"{path}:{number}: expected an operation of Optuna's journal with its checksum, got a damaged line; delete it "
        f"and all lines after it (what they recorded is run again), {REMEDY}"
    )


class ReadOnlyStorage(JournalStorage):
    """The studies of a journal, one per arm, for readers beside the driver that writes it.

    Raises:
        FileNotFoundError: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(path)
        super().__init__(_ReadOnlyFile(str(path)))


class _ReadOnlyFile(JournalFileBackend):
    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError("only the driver of a sweep writes its journal")
