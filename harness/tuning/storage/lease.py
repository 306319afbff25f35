"""Lease on a sweep in an object store: one driver at a time.

    NAME/driver.lock = {"holder": text for people, "id": of this lease, "copy": id of the holder's working copy}

The holder rewrites the object every `RENEW_SECONDS`. A lease expires `EXPIRY_SECONDS` after its last renewal, measured
by the store's clock. One from this same working copy has expired already: whoever claims a lease holds the lock of the
copy, so the former holder is dead.

Stores have no conditional write here. Two drivers that claim at the same moment both write, wait `SETTLE_SECONDS` and
read who wrote last. If a write takes longer than that, both go on until the next renewal, where one finds the other
and stops. A driver that was cut off for longer than the expiry stops in the same way.
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
RENEW_SECONDS = 10.0
SETTLE_SECONDS = 0.5


class LeaseLost(FolderError):
    """Another driver has taken over the sweep."""


class Lease:
    """Lease on the sweep `name`, for the driver that holds the lock of the working copy `copy_id`."""

    def __init__(self, store: Store, name: str, copy_id: str) -> None:
        self._store = store
        self._url = store.url / name
        self._file = f"{name}/driver.lock"
        self._probe = f"{name}/.{uuid.uuid4().hex}"
        self._content = {
            "holder": f"process {os.getpid()} on {socket.gethostname()}",
            "id": uuid.uuid4().hex,
            "copy": copy_id,
        }
        self._renewed = 0.0

    def claim(self) -> None:
        """Raise FolderError, with nothing changed, if another driver holds the lease; else take it."""
        current = self._read()
        if current and current.get("copy") != self._content["copy"]:
            age = self._age()
            if age < EXPIRY_SECONDS:
                raise FolderError(
                    f"{self._url}: this sweep is being run by {current.get('holder')}, heard of {age:.0f} s ago; wait "
                    "for its end, or use another --name (if it was killed, it may be taken over in "
                    f"{EXPIRY_SECONDS - age:.0f} s)"
                )
        self._write()
        time.sleep(SETTLE_SECONDS)
        self.check()

    def renew(self) -> None:
        """Renew the lease if it is time to; raise LeaseLost if another driver holds it."""
        if time.monotonic() > self._renewed + RENEW_SECONDS:
            self.check()
            self._write()

    def check(self) -> None:
        """Raise LeaseLost if another driver holds the lease."""
        current = self._read()
        if current.get("id") != self._content["id"]:
            raise LeaseLost(
                f"{self._url}: expected to hold this sweep, which {current.get('holder', 'nobody')} does; the same "
                "command goes on once they have ended"
            )

    def release(self) -> None:
        with suppress(LeaseLost):
            self.check()
            self._store.remove([self._file])

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._store.read(self._file))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self) -> None:
        self._store.write(self._file, json.dumps(self._content).encode())
        self._renewed = time.monotonic()

    def _age(self) -> float:
        """Seconds since the last renewal, both times by the store's clock."""
        self._store.write(self._probe, b"now")
        now, renewed = self._store.stat(self._probe), self._store.stat(self._file)
        self._store.remove([self._probe])
        return EXPIRY_SECONDS if now is None or renewed is None else max(0.0, (now.mtime - renewed.mtime) / 1e9)
