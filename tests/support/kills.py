"""Waiting for a moment of a sweep, and finding the workers of the session's cluster to kill them."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import Process

OFTEN = ("--set", "search.resources.checkpoint_seconds=0.2")
"""A checkpoint every 0.2 s, so that even a short trial has one when it is killed."""


@contextmanager
def ended(process: Process) -> Iterator[Process]:
    """Kill the process and its group at the end if they still run."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_until(condition: Callable[[], object], process: Process | None = None, timeout: float = 240) -> None:
    """Wait until a condition holds; fail when `process` ends before, or after `timeout` seconds."""
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until or (process is not None and process.poll() is not None):
            pytest.fail(f"the condition did not hold within {timeout} s, or before the process's end")
        time.sleep(0.02)


def wait_for_file(folder: Path, pattern: str, process: Process, timeout: float = 240) -> Path:
    """The first file that matches the pattern, while the process runs."""
    wait_until(lambda: list(folder.glob(pattern)), process, timeout)
    return next(folder.glob(pattern))


def workers(title: str) -> list[psutil.Process]:
    """Actors of the session's cluster whose class name matches."""
    processes = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if re.match(rf"ray::{title}\b", " ".join(process.cmdline())):
                processes.append(process)
    return processes
