"""Programs forked off processes that have done their imports.

Imports take eight of a small command's ten seconds, three of each worker and three of MLflow's writer; the tests run
over a hundred commands. A forked program equals `python PROGRAM` in arguments, folder, environment, output, signals and
exit code. Commands that are given variables which imports read, and clusters beside the session's, run as processes of
their own.
"""

import atexit
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.support.forked_python import fork

ROOT = Path(__file__).resolve().parents[2]
FORKED_PYTHON = str(Path(__file__).with_name("forked_python.py"))

SERVER = """
import atexit, gc, json, os, runpy, select, signal, socket, struct, sys, threading

def run(arguments):
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    if arguments[0].endswith("default_worker.py"):  # as setup_worker.py of Ray does before it starts one
        from ray._private.runtime_env.context import RuntimeEnvContext, update_envs
        from ray._private.workers.setup_worker import parser
        options, arguments = parser.parse_known_args(arguments)
        update_envs(RuntimeEnvContext.deserialize(options.serialized_runtime_env_context or "{}").env_vars)
    sys.argv = arguments
    runpy.run_path(sys.argv[0], run_name="__main__")

gc.collect()
gc.freeze()  # collections in a program leave these objects, and so the server's pages, alone
listener = socket.socket(socket.AF_UNIX)
listener.bind(f"{sys.argv[1]}.part")
listener.listen(100)
os.rename(f"{sys.argv[1]}.part", sys.argv[1])  # it is there once it listens
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while 0 not in select.select([0, listener], [], [])[0]:
    connection, _ = listener.accept()
    if os.fork():
        connection.close()
        continue
    _, descriptors, *_ = socket.recv_fds(connection, 1, 3)
    arguments, cwd, environment = json.loads(connection.makefile().readline())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run with interrupts ignored
    program = os.fork()
    if program:  # this process reports the exit code
        for descriptor in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        for descriptor in descriptors:
            os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
        connection.sendall(struct.pack("i", code))
        os._exit(0)
    os.setsid()
    connection.sendall(struct.pack("i", os.getpid()))
    os.chdir(cwd)
    os.environ.update(environment)  # beside the variables that imports have set
    sys.path += [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    listener.close()
    connection.close()
    code = None
    try:
        run(arguments)
    except SystemExit as end:
        code = end.code
        if not isinstance(code, int | None):
            raise
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)  # to take all modules apart would copy each page of the server's memory: 1.6 s
"""
COMMANDS = f"""
import subprocess, sys
import matplotlib.backends.backend_svg, matplotlib.pyplot, scipy.stats, sklearn.datasets, sklearn.metrics
import analysis.report.page, harness.confirm.findings, harness.confirm.plan_source, harness.confirm.terminal
import harness.distill.run, harness.report, harness.search.forecast, harness.search.plan
import harness.search.run, harness.search.terminal, harness.session
import harness.tuning.execution.executor, harness.tuning.execution.gpu_share, harness.tuning.study.sweep_study

class Popen(subprocess.Popen):
    def __init__(self, args, *more, **options):
        if "harness.tracking.mlflow_view.writer_process" in args:
            args = [sys.executable, {FORKED_PYTHON!r}, *args[1:]]
        super().__init__(args, *more, **options)

subprocess.Popen = Popen
"""
CHILDREN = """
import harness.tracking.mlflow_view.writer_process, harness.tuning.worker.runner
import mlflow.store.db.utils, mlflow.store.tracking.sqlalchemy_store, sqlalchemy.orm
sqlalchemy.orm.configure_mappers()
"""
"""Without Ray, which reads its variables when it is imported."""


class ForkedCommand:
    """A running command, with those methods of `subprocess.Popen` that the tests use."""

    def __init__(
        self, server: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], folder: Path
    ) -> None:
        self._folder = folder
        with Path(os.devnull).open() as stdin, (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            descriptors = [stdin.fileno(), out.fileno(), err.fileno()]
            self._connection = fork(server, arguments, str(cwd), environment, descriptors)
            (self.pid,) = struct.unpack("i", self._connection.recv(4))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self.wait(0)

    def wait(self, timeout: float) -> int | None:
        """The exit code; None if the command still runs after `timeout` seconds."""
        if self.returncode is None:
            self._connection.settimeout(max(timeout, 1e-6))
            with suppress(TimeoutError):
                (self.returncode,) = struct.unpack("i", self._connection.recv(4))
                self._connection.close()
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
    """A process that has done some imports.

    Args:
        imports: Python code.
        environment: of the programs, beside this process's own.
    """

    def __init__(self, imports: str, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="commands-")
        self.address = str(Path(self._folder.name, "server"))
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        self._process = subprocess.Popen(
            [sys.executable, "-c", imports + SERVER, self.address],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._commands: list[ForkedCommand] = []
        atexit.register(self.close)

    def start(self, module: str, arguments: Sequence[str], cwd: Path = ROOT, **environment: str) -> ForkedCommand:
        """Start `python -m MODULE ARGUMENTS`; no import of the server reads the variables of `environment`."""
        folder = Path(self._folder.name, str(len(self._commands)))
        folder.mkdir()
        self.wait_for_imports()
        variables = {**self._environment, **environment}
        command = ForkedCommand(self.address, ["-m", module, *arguments], cwd, variables, folder)
        self._commands.append(command)
        return command

    def wait_for_imports(self) -> None:
        until = time.monotonic() + 300
        while not Path(self.address).exists():
            assert time.monotonic() < until, "the fork server does not answer"
            time.sleep(0.02)

    def close(self) -> None:
        for command in self._commands:
            if command.poll() is None:
                command.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._folder.cleanup()


@cache
def fork_server() -> ForkServer:
    """The session's server of commands, started at first use."""
    return ForkServer(COMMANDS, FORK_SERVER=children_server().address)


@cache
def children_server() -> ForkServer:
    """The session's server of what commands start: Ray's workers, and MLflow's writer."""
    return ForkServer(CHILDREN)
