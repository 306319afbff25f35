"""What the tests of commands share: running one as a user would, and one Ray cluster for the whole session."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.nursery import ROOT, nursery
from tests.support.stores import CREDENTIALS, S3, served

READ_LATE = {"XDG_CACHE_HOME"}
"""Variables that no import reads."""


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and all it printed, standard output and errors apart."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


def start(
    module: str, *arguments: str, cwd: Path = ROOT, within: Sequence[str] = (), **environment: str
) -> subprocess.Popen[str]:
    """`python -m MODULE ARGUMENTS`, in a process group of its own; by the command `within`, if any."""
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


def finish(process: subprocess.Popen[str], timeout: float = 240) -> Result:
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"still running after {timeout} s\n{out}\n{err}")
    return Result(process.returncode, out, err)


def run(module: str, *arguments: str, cwd: Path = ROOT, timeout: float = 240, **environment: str) -> Result:
    """The same to its end; forked off a process with the imports done, unless an environment matters to these."""
    if environment.keys() - READ_LATE or not module.startswith("harness."):
        return finish(start(module, *arguments, cwd=cwd, **environment), timeout)
    child = nursery().start(module, arguments, cwd, **environment)
    code = child.wait(timeout)
    if code is None:
        child.kill()
        pytest.fail("\n".join([f"still running after {timeout} s", *child.printed()]))
    return Result(code, *child.printed())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that lacks something is skipped with a word; in CI, where `.ci/run` installs it all, it fails."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def ray_address(tmp_path_factory: pytest.TempPathFactory, credentials: None) -> Iterator[str]:
    """One cluster of two pretended CPUs for the session; commands join it with --address."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    import ray

    with pytest.MonkeyPatch.context() as workers:  # they keep what they are started with
        workers.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("node")))
        context = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield context.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    """What opens a store of the tests, for every command and every Ray that they start."""
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
