"""Commands forked off one process that has done their imports.

Imports take eight of a small command's ten seconds, and the tests run over a hundred commands. A forked command equals
`python -m MODULE` in arguments, folder, output, signals and exit code.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SERVER = """
import os, runpy, signal, sys
from multiprocessing.connection import Connection
from pathlib import Path

import matplotlib.backends.backend_svg, matplotlib.pyplot, scipy.stats
import analysis.report.page, harness.confirm.findings, harness.confirm.plan_source, harness.confirm.terminal
import harness.distill.run, harness.report, harness.search.forecast, harness.search.plan
import harness.search.run, harness.search.terminal, harness.session
import harness.tuning.execution.executor, harness.tuning.execution.gpu_share, harness.tuning.study.sweep_study

requests = Connection(int(sys.argv[1]))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    try:
        module, arguments, cwd, environment, folder = requests.recv()
    except EOFError:
        break
    if os.fork():
        continue
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    command = os.fork()
    if command:  # this process writes down the exit code
        Path(folder, "pid.part").write_text(str(command))
        os.rename(f"{folder}/pid.part", f"{folder}/pid")
        code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        Path(folder, "code.part").write_text(str(code))
        os.rename(f"{folder}/code.part", f"{folder}/code")
        os._exit(0)
    os.setsid()
    os.chdir(cwd)
    os.environ.update(environment)
    for path, descriptor in ((os.devnull, 0), (f"{folder}/out", 1), (f"{folder}/err", 2)):
        os.dup2(os.open(path, os.O_RDWR), descriptor)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit()
"""


class ForkedCommand:
    """A running command, with those methods of `subprocess.Popen` that the tests use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        until = time.monotonic() + 300  # the first command waits for the imports
        while not (folder / "pid").exists():
            assert time.monotonic() < until, "the fork server started no command"
            time.sleep(0.005)
        self.pid = int((folder / "pid").read_text())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        if self.returncode is None:
            with suppress(FileNotFoundError):
                self.returncode = int((self._folder / "code").read_text())
        return self.returncode

    def wait(self, timeout: float) -> int | None:
        """The exit code; None if the command still runs after `timeout` seconds."""
        until = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        return self.returncode

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """Standard output and standard error, once the command has ended."""
        if self.wait(timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return self.output(), (self._folder / "err").read_text()

    def output(self) -> str:
        """Standard output so far."""
        return (self._folder / "out").read_text()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        assert self.wait(30) is not None, "killed, and still there"


class ForkServer:
    """The process that has done the imports."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._requests = Connection(ours.detach())
        self._outputs = tempfile.TemporaryDirectory(prefix="commands-")
        self._commands: list[ForkedCommand] = []
        atexit.register(self.close)

    def start(self, module: str, arguments: Sequence[str], cwd: Path = ROOT, **environment: str) -> ForkedCommand:
        """Start `python -m MODULE ARGUMENTS`; no import of the server reads the variables of `environment`."""
        folder = Path(self._outputs.name, str(len(self._commands)))
        folder.mkdir()
        (folder / "out").touch()
        (folder / "err").touch()
        self._requests.send((module, list(arguments), str(cwd), environment, str(folder)))
        self._commands.append(ForkedCommand(folder))
        return self._commands[-1]

    def close(self) -> None:
        for command in self._commands:
            if command.poll() is None:
                command.kill()
        self._requests.close()
        self._process.wait(60)
        self._outputs.cleanup()


@cache
def fork_server() -> ForkServer:
    """The session's server, started at first use."""
    return ForkServer()
