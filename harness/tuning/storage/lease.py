"""Who drives a sweep in a store: an object that says who, refreshed while they do.

    NAME/driver.lock = {"holder": words, "id": …, "machine": …, "process": [number, start]}

How old it is goes by the store's clock alone: a word written now is compared with it. It is dead when it was not
refreshed for `STALE` seconds, or when it is of this machine and its process is gone.

What this cannot do: a store as it is asked for here has no write that depends on what is there. Two drivers that start
in the same moment find out by writing, waiting a little and reading who was last; if a write of one of them is under
way for longer than that wait, both go on, until the next refresh (`BEAT` seconds), where one sees the other and stops.
The same holds for a driver that was cut off for longer than `STALE`, then comes back. What the two wrote meanwhile does
not join, and the next reader says so (`segments.join`): nothing is mixed, the later may have to be removed by hand.
"""

import json
import os
import socket
import time
import uuid
from typing import Any

from harness.tuning.storage.object_store import Store
from harness.tuning.storage.sweep_folder import FolderError

STALE = 60.0
BEAT = 10.0
SETTLE = 0.5  # seconds between the claim and the look at who holds it


class TakenOver(FolderError):
    """Another driver has the sweep."""


class Lease:
    """The sweep `name` in a store, held from `claim` to `release`."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._sweep = name
        self._object = f"{name}/driver.lock"
        self.id = uuid.uuid4().hex
        self._word: dict[str, Any] = {
            "holder": f"process {os.getpid()} on {socket.gethostname()}",
            "id": self.id,
            "machine": _machine(),
            "process": [os.getpid(), _start(os.getpid())],
        }
        self._claimed = 0.0
        self._heard = 0.0

    def claim(self) -> None:
        """Raises:
        FolderError: another driver holds it. Nothing was changed then.
        """
        held = self._read()
        if held is not None and not _gone(held):
            age = self._age()
            if age < STALE:
                raise FolderError(
                    f"{self._store.url / self._sweep}: this sweep is being run by {held.get('holder')}, heard of "
                    f"{age:.0f} s ago; wait for its end, or use another --name (if it was killed, it may be taken over "
                    f"in {STALE - age:.0f} s)"
                )
        self._write()
        self._claimed = time.monotonic()

    def settle(self) -> None:
        """Wait until a driver that began in the same moment would have shown, and see who it is.

        Raises:
            TakenOver: it was the other.
        """
        time.sleep(max(0.0, self._claimed + SETTLE - time.monotonic()))
        self._check()

    def beat(self, every: float = BEAT) -> None:
        """Say that this driver lives, where the last time is `every` seconds ago.

        Raises:
            TakenOver: another driver does.
        """
        if time.monotonic() > self._heard + every:
            self._check()
            self._write()

    def release(self) -> None:
        held = self._read()
        if held is not None and held.get("id") == self.id:
            self._store.remove([self._object])

    def _check(self) -> None:
        held = self._read()
        if held is None or held.get("id") != self.id:
            holder = "nobody" if held is None else held.get("holder")
            raise TakenOver(
                f"{self._store.url / self._sweep}: expected to hold this sweep, which {holder} does; the same command "
                "goes on once they have ended"
            )

    def _read(self) -> dict[str, Any] | None:
        try:
            held = json.loads(self._store.read(self._object))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        return held if isinstance(held, dict) else None

    def _write(self) -> None:
        self._store.write(self._object, json.dumps(self._word).encode())
        self._heard = time.monotonic()

    def _age(self) -> float:
        """Seconds since the holder was heard of, both ends by the clock of the store."""
        probe = f"{self._sweep}/.{self.id}"
        self._store.write(probe, b"now")
        now, then = self._store.seen(probe), self._store.seen(self._object)
        self._store.remove([probe])
        return STALE if now is None or then is None else max(0.0, (now.mtime - then.mtime) / 1e9)


def _gone(held: dict[str, Any]) -> bool:
    """Whether the holder is a process of this machine, as it is seen from here, that is no more."""
    try:
        number, start = held["process"]
        return bool(held["machine"] == _machine() and _start(int(number)) != start)
    except (KeyError, TypeError, ValueError):
        return False


def _machine() -> str:
    """This machine since it was started, and the part of it whose processes are seen from here."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"


def _start(process: int) -> float | None:
    """When a process began, in ticks since its machine did; None for one that is not there, or where there is no way
    to know."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return float(file.read().rpartition(")")[2].split()[19])
    except OSError:
        return None
