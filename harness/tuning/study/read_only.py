"""A sweep's journal for those who only look: it can be read while a driver writes it, and never written."""

from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend


class ReadOnly(PermissionError):
    """Somebody who looks at a sweep wanted to change it."""


class _Looking(BaseJournalBackend):
    def __init__(self, journal: Path) -> None:
        self._file = JournalFileBackend(str(journal))

    def read_logs(self, log_number_from: int) -> Any:
        return self._file.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise ReadOnly("the journal is the truth about a sweep, and its driver's alone to write")


def onlooker(journal: Path) -> JournalStorage:
    """The studies in `journal`, one an arm; FileNotFoundError where there is no such file."""
    if not journal.is_file():
        raise FileNotFoundError(journal)
    return JournalStorage(_Looking(journal))
