"""Commands run as a user runs them, one Ray cluster and one object store for the session, and options of pytest."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support.fork_server import FORKED_PYTHON, ROOT, ForkedCommand, children_server, fork_server
from tests.support.stores import CREDENTIALS, S3, served

READ_LATE = {"HOME", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "STUDY", "TRACKING_URI", "XDG_CACHE_HOME"}
"""Variables that no import reads."""

Process = ForkedCommand | subprocess.Popen[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=20, help="how often a test kills the driver of a sweep (default 20)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that run alone as slow, and put files with slow tests first, so that the last files are short.

    Tests that need a GPU are left out where there is none.
    """
    if on_gpu := [item for item in items if item.get_closest_marker("cuda")]:
        import torch  # their modules have imported it

        if not torch.cuda.is_available():
            items[:] = [item for item in items if not item.get_closest_marker("cuda")]
            config.hook.pytest_deselected(items=on_gpu)
    for item in items:
        if item.get_closest_marker("alone"):
            item.add_marker("slow")
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow_files)


@dataclass(frozen=True)
class Result:
    """Exit code, standard output and standard error of a command."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


def start(module: str, *arguments: str, cwd: Path = ROOT, within: Sequence[str] = (), **environment: str) -> Process:
    """Start `python -m MODULE ARGUMENTS` in a process group of its own.

    It is forked off a process that has done the imports, unless `environment` has a variable that imports read, or
    `within` a command that is to run it.
    """
    if not within and environment.keys() <= READ_LATE:
        return fork_server().start(module, arguments, cwd, **environment)
    return subprocess.Popen(
        [*within, sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: Process, timeout: float = 240) -> Result:
    """Wait for a command's end; it fails the test if that takes more than `timeout` seconds."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"still running after {timeout} s\n{out}\n{err}")
    assert process.returncode is not None
    return Result(process.returncode, out, err)


def run(module: str, *arguments: str, cwd: Path = ROOT, timeout: float = 240, **environment: str) -> Result:
    """Run `python -m MODULE ARGUMENTS` to its end."""
    return finish(start(module, *arguments, cwd=cwd, **environment), timeout)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one in CI, where `.ci/run` installs all that tests need."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def worker_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """XDG_CACHE_HOME of the workers of the session's cluster."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="session")
def ray_address(worker_cache: Path, credentials: None) -> Iterator[str]:
    """Address of the session's Ray cluster, which has two CPUs and forks its workers; commands join it by --address."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    import ray
    from ray._private import parameter

    children_server().wait_for_imports()
    with pytest.MonkeyPatch.context() as patch:  # workers keep the environment they are started with
        patch.setenv("XDG_CACHE_HOME", str(worker_cache))
        patch.setenv("FORK_SERVER", children_server().address)
        patch.setattr(parameter, "RayParams", partial(parameter.RayParams, setup_worker_path=FORKED_PYTHON))
        context = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield context.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    """Credentials of the object store, for every command and every Ray that tests start."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with served() as store:
        yield store


def lines(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.strip()]
