"""Lease on a sweep in an object store: one driver at a time.

    driver.lock = {"holder": text for people, "id": of this lease, "copy": id of the holder's working copy}

A lease expires `EXPIRY_SECONDS` after its last renewal, by the store's clock; one from this same working copy at once,
since whoever claims a lease holds the lock of the copy. Stores have no conditional write here: two drivers that claim
at the same moment both write, wait `SETTLE_SECONDS` and read who wrote last. After a slower write, one of them finds
the other at its next renewal and stops.
"""

import json
import os
import socket
import time
import uuid
from contextlib import suppress
from typing import Any

from harness.tuning.storage.object_store import Store
from harness.tuning.storage.sweep_folder import FolderError

EXPIRY_SECONDS = 60.0
SETTLE_SECONDS = 0.5
FILE = "driver.lock"


class LeaseLost(FolderError):
    """Another driver has taken over the sweep."""


class Lease:
    """Lease on the sweep in `store`, for the driver that holds the lock of the working copy `copy_id`."""

    def __init__(self, store: Store, copy_id: str) -> None:
        self._store = store
        holder = f"process {os.getpid()} on {socket.gethostname()}"
        self._content = {"holder": holder, "id": uuid.uuid4().hex, "copy": copy_id}

    def claim(self) -> None:
        """Raise FolderError, with nothing changed, if another driver holds the lease; else take it."""
        current = self._read()
        if current and current.get("copy") != self._content["copy"] and (age := self._age()) < EXPIRY_SECONDS:
            raise FolderError(
                f"{self._store.url}: this sweep is being run by {current.get('holder')}, last seen {age:.0f} s ago; "
                "wait for its end, or use another --name (if it was killed, it may be taken over in "
                f"{EXPIRY_SECONDS - age:.0f} s)"
            )
        self._write()
        time.sleep(SETTLE_SECONDS)
        self.check()

    def renew(self) -> None:
        """Renew the lease; raise LeaseLost if another driver holds it."""
        self.check()
        self._write()

    def check(self) -> None:
        """Raise LeaseLost if another driver holds the lease."""
        current = self._read()
        if current.get("id") != self._content["id"]:
            raise LeaseLost(
                f"{self._store.url}: expected to hold this sweep, which {current.get('holder', 'nobody')} does; the "
                "same command goes on once they have ended"
            )

    def release(self) -> None:
        with suppress(LeaseLost):
            self.check()
            self._store.remove([FILE])

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._store.read(FILE))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self) -> None:
        self._store.write(FILE, json.dumps(self._content).encode())

    def _age(self) -> float:
        """Seconds since the last renewal, both times by the store's clock."""
        probe = f".{uuid.uuid4().hex}"
        self._store.write(probe, b"now")
        now, renewed = self._store.stat(probe), self._store.stat(FILE)
        self._store.remove([probe])
        return EXPIRY_SECONDS if now is None or renewed is None else max(0.0, (now.mtime - renewed.mtime) / 1e9)
