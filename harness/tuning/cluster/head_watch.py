"""Thread that ends the driver with an error message when the head of its cluster is gone.

Calls of Ray block then, and after a minute Ray ends the process from C++, with a message that names no remedy.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

POLL_SECONDS = 5.0
GONE_SECONDS = 40.0
"""Time without an answer after which the head is taken for gone; Ray itself waits for 60 s."""
EXIT_CODE = 3
"""As after a full disk: the state is kept."""


@contextmanager
def head_watch(address: str, logs: str | None) -> Iterator[None]:
    """End this process if nothing listens at `address`, HOST:PORT, for `GONE_SECONDS` of the block."""
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(address, logs, done), name="head watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def _watch(address: str, logs: str | None, done: threading.Event) -> None:
    heard = time.monotonic()
    while not done.wait(POLL_SECONDS):
        if _listens(address):
            heard = time.monotonic()
        elif time.monotonic() > heard + GONE_SECONDS and not done.is_set():
            show_cursor = "\x1b[?25h\n" if sys.stderr.isatty() else ""  # a progress bar hides it
            sys.stderr.write(
                f"{show_cursor}the Ray cluster at {address}: expected its head to answer, got nothing for "
                f"{GONE_SECONDS:.0f} s; the state is kept: start a cluster, then give the same command; Ray's logs "
                f"are in {logs or '/tmp/ray'} there\n"
            )
            sys.stderr.flush()
            os._exit(EXIT_CODE)  # the main thread waits inside of Ray


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=POLL_SECONDS).close()
    except OSError:
        return False
    return True
