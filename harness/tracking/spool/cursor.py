"""Cursor: position in the event log up to which a tracking server has the events, in one file per server.

The cursor moves only after the server has taken a batch. A crash in between sends that batch again, which changes
nothing: runs are found by their key, and every value carries the time of its event.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.common.atomic_files import write_text
from harness.tracking.spool.event_log import read_events
from harness.tracking.tracking_uri import redact_uri


@dataclass(frozen=True, slots=True)
class Cursor:
    """Position and status of the server behind `tracking_uri`, which is stored without credentials.

    Args:
        offset: bytes of the event log that it has.
        skipped: values and files that it refused or kept failing on.
        experiment, experiment_id, run_id: where the sweep's run is.
        unreachable: why the server cannot be reached; empty where it can.
    """

    tracking_uri: str
    offset: int = 0
    skipped: int = 0
    experiment: str | None = None
    experiment_id: str | None = None
    run_id: str | None = None
    unreachable: str = ""

    @classmethod
    def load(cls, folder: Path, uri: str) -> Self:
        """The cursor of a server; at the start where it cannot be read, as sending twice is harmless."""
        try:
            return cls(**json.loads(cursor_path(folder, uri).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            return cls(tracking_uri=redact_uri(uri))

    def save(self, folder: Path, uri: str) -> None:
        write_text(cursor_path(folder, uri), json.dumps(dataclasses.asdict(self), indent=1) + "\n")


def cursor_path(folder: Path, uri: str) -> Path:
    """The file of a server: one of the same address, whoever the user is."""
    fingerprint = hashlib.sha256(redact_uri(uri).encode()).hexdigest()[:8]
    return folder / f"cursor-{fingerprint}.json"


def lock_path(folder: Path, uri: str) -> Path:
    """Lock of the one process that may send to a server."""
    return cursor_path(folder, uri).with_suffix(".lock")


def count_pending(folder: Path, uri: str, rebuild: bool = False) -> int:
    """Number of events that a server does not have yet; of all events for a `rebuild`."""
    offset = 0 if rebuild else Cursor.load(folder, uri).offset
    return sum(event is not None for event, _ in read_events(folder, offset))
