"""What tests wait for before they kill, and whom: workers of this session's own cluster, and of no other here."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

OFTEN = ("--set", "search.resources.checkpoint_seconds=0.2")
"""A checkpoint soon, so that a trial need not be long to be killed behind one."""


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process and its group are gone afterwards, also where a test failed before it was through with it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_for_file(folder: Path, pattern: str, process: subprocess.Popen[str], timeout: float = 240) -> Path:
    """The first file of the pattern that there is, while the process lives."""
    until = time.monotonic() + timeout
    while not (found := list(folder.glob(pattern))):
        if process.poll() is not None or time.monotonic() > until:
            pytest.fail(f"no {pattern} in {folder} within {timeout} s, or before the process's end")
        time.sleep(0.02)
    return found[0]


def workers(title: str) -> list[psutil.Process]:
    """Actors of the session's cluster whose class has this name."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if re.match(rf"ray::{title}\b", " ".join(process.cmdline())):
                found.append(process)
    return found
