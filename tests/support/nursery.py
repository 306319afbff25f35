"""Commands that have their imports behind them: each is forked off one process that did these once.

A command of a sweep spends half its time on imports, and the tests run a hundred. A child becomes `python -m MODULE` in
all but that: arguments, folder, output, signals and exit code are its own. Where a fresh interpreter matters, `start`
of tests.conftest has one.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, runpy, sys
from multiprocessing.connection import Connection

import matplotlib.backends.backend_svg, matplotlib.pyplot, scipy.stats
import analysis.report.page, harness.report
import harness.confirm.findings, harness.confirm.run, harness.search.plan, harness.search.run
import harness.console, harness.tuning.execution.gpu_share, harness.tuning.study.sweep_study
import harness.tuning.execution.event_logger, harness.tuning.execution.executor

orders = Connection(int(sys.argv[1]))
while True:
    try:
        module, arguments, folder, environment, out, err = orders.recv()
    except EOFError:
        break
    pid = os.fork()
    if pid == 0:
        orders.close()
        os.setsid()
        os.chdir(folder)
        os.environ.update(environment)
        for path, descriptor in ((os.devnull, 0), (out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_RDWR), descriptor)
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        sys.exit()
    orders.send(pid)
    orders.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


class Child:
    """A command under way."""

    def __init__(self, orders: Connection, out: Path, err: Path) -> None:
        self._orders = orders
        self._files = out, err
        self._code: int | None = None
        self.pid = int(orders.recv())

    def wait(self, seconds: float | None) -> int | None:
        """Its exit code, minus the signal that killed it; None where it still runs after so many seconds."""
        if self._code is None and self._orders.poll(seconds):
            self._code = int(self._orders.recv())
        return self._code

    def kill(self) -> int:
        """The whole group, as a terminal's end would; returns its exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self.wait(30)
        assert code is not None, "killed, and still there"
        return code

    def printed(self) -> tuple[str, str]:
        """To standard output, and to standard error."""
        out, err = (file.read_text() for file in self._files)
        return out, err


class Nursery:
    """One command at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._orders = Connection(ours.detach())
        self._child: Child | None = None
        self._printed = tempfile.TemporaryDirectory(prefix="nursery-")
        atexit.register(self.end)

    def start(self, module: str, arguments: Sequence[str], folder: Path = ROOT, **environment: str) -> Child:
        """`python -m MODULE ARGUMENTS` in a folder; `environment` is what is read after the imports."""
        out, err = Path(self._printed.name, "out"), Path(self._printed.name, "err")
        for file in (out, err):
            file.write_bytes(b"")
        self._orders.send((module, list(arguments), str(folder), environment, str(out), str(err)))
        self._child = Child(self._orders, out, err)
        return self._child

    def end(self) -> None:
        if self._child is not None and self._child.wait(0) is None:
            self._child.kill()
        self._orders.close()
        self._process.wait(60)
        self._printed.cleanup()


@cache
def nursery() -> Nursery:
    """The session's own, begun when it is first asked for."""
    return Nursery()
