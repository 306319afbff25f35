"""What tests wait for before they kill, and whom: workers of this session's own cluster, and of no other here."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process and its group are gone afterwards, also where a test failed before it was through with it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


NURSERY = """
import json, os, sys
import harness.report, harness.tuning.cluster, harness.tuning.ledger, harness.tuning.relay, harness.tuning.sweep
from harness.search.__main__ import main

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(0)
        sys.exit(main(json.loads(line)))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Forks drivers that have their imports behind them: a kill then falls into what they do, and not into these."""


@contextmanager
def nursery() -> Iterator[Callable[[Sequence[str], float | None], int]]:
    """Yields `drive(arguments, seconds)`: `harness.search`, killed after so many; returns its exit code, -9 if killed.

    What it prints goes where the tests' own output goes.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told = process.stdout

    def number() -> int:
        """The next line that is one: drivers print there too."""
        while not re.fullmatch(r"-?\d+\n", line := told.readline()):
            assert line, "the nursery has ended"
        return int(line)

    def drive(arguments: Sequence[str], seconds: float | None) -> int:
        assert process.stdin is not None
        print(json.dumps(list(arguments)), file=process.stdin, flush=True)
        pid = number()
        ended = threading.Event()

        def kill() -> None:
            if not ended.wait(seconds):
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        code = number()
        ended.set()
        killer.join()
        return code

    try:
        yield drive
    finally:
        process.stdin.close()
        told.close()
        process.wait(60)


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
