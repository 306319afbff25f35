"""How far a server has been fed: one small file beside the spool for each server, replaced whole.

The cursor moves only after the server has taken a batch. A crash in between sends that batch again, which
changes nothing: runs are found by their key, and every value carries the time of its record.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.common.atomic_files import write_text
from harness.tracking.spool import event_log
from harness.tracking.tracking_uri import fingerprint, redact_uri


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the server behind `tracking_uri` (named without credentials) has of a spool.

    `offset` counts the spool's bytes it has; `refused` the values and files it would not take; `aside` those that it
    failed on while it took others, the first of them behind the byte `aside_from`; `run_id` is the sweep's run in
    `experiment`; `away` says in words why it cannot be reached, empty when it can.
    """

    tracking_uri: str
    offset: int = 0
    refused: int = 0
    aside: int = 0
    aside_from: int = 0
    experiment: str | None = None
    experiment_id: str | None = None
    run_id: str | None = None
    away: str = ""

    @classmethod
    def load(cls, folder: Path, uri: str) -> Self:
        """The cursor of `uri`; at the start where none can be read, as sending twice is harmless."""
        try:
            return cls(**json.loads(cursor_path(folder, uri).read_text()))
        except (FileNotFoundError, ValueError, TypeError, RecursionError):
            return cls(tracking_uri=redact_uri(uri))

    def save(self, folder: Path, uri: str) -> None:
        write_text(cursor_path(folder, uri), json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def cursor_path(folder: Path, uri: str) -> Path:
    return folder / f"cursor-{fingerprint(uri)}.json"


def unsent(folder: Path, uri: str) -> int:
    """How many records of the spool the server behind `uri` does not have yet."""
    offset = Cursor.load(folder, uri).offset
    return sum(record is not None for record, _ in event_log.read_events(folder, offset))
