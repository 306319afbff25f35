"""Machines with a long TMPDIR, a Ray folder of someone else, or a user without a name and a home: commands run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from harness.common.socket_dir import is_socket_dir, make_socket_dir
from harness.common.user_dirs import temporary_home
from tests.conftest import ROOT

UNKNOWN_USER = ["unshare", "--user", "--map-user=54321"]
"""Run as a user without an entry in /etc/passwd; files of the present user are this user's own."""
SMALL = ("--space", "label_lr.yaml", "--set", "epochs=1", "--set", "width=8", "--trials", "1", "--concurrency", "1")


def can_be_unknown() -> bool:
    return subprocess.run([*UNKNOWN_USER, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def long_folder() -> Iterator[Path]:
    """A folder for temporary files whose path is longer than a socket's may be."""
    with TemporaryDirectory() as folder:
        path = Path(folder, *["long-name"] * 12)
        path.mkdir(parents=True)
        yield path


def python(
    *words: str, cwd: Path = ROOT, within: list[str] | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a module with this environment alone."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [*(within or []), sys.executable, "-m", *words]
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, encoding="utf-8", timeout=400, check=False
    )


def test_a_folder_for_sockets_is_short_and_another_s_is_not_used(
    long_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_socket_dir(long_folder / "ray", 10)
    monkeypatch.setattr("tempfile.tempdir", str(long_folder))
    folder = make_socket_dir(60)
    assert len(str(folder)) + 1 + 60 <= 107
    folder.rmdir()
    assert is_socket_dir(Path("/tmp/none/of/those"), 60)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert not is_socket_dir(Path("/tmp/none/of/those"), 60)


def test_a_home_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = temporary_home()
    assert home == temporary_home() == tmp_path / f"home-{os.getuid()}"
    home.chmod(0o777)
    with pytest.raises(Exception, match="a folder that others own or can enter; set HOME"):
        temporary_home()
    home.rmdir()
    home.symlink_to(tmp_path)
    with pytest.raises(Exception, match="set HOME"):
        temporary_home()


@pytest.mark.skipif(not can_be_unknown(), reason="no user namespaces here")
def test_a_run_of_a_user_without_name_and_home(tmp_path: Path) -> None:
    words = ("harness.train", *SMALL[:6], "--set", "label_lr=0.1")
    done = python(*words, within=UNKNOWN_USER, TMPDIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["home-54321"]


@pytest.mark.skipif(not can_be_unknown(), reason="no user namespaces here")
def test_a_home_that_cannot_be_written_holds_no_cache(tmp_path: Path) -> None:
    program = "from harness.common.user_dirs import cache_dir; print(cache_dir())"
    command = [*UNKNOWN_USER, sys.executable, "-c", program]
    environment = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "HOME": "/proc"}
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == f"{tmp_path}/home-54321/.cache/soft-label-harness\n"


@pytest.mark.slow
@pytest.mark.skipif(not can_be_unknown(), reason="no user namespaces here")
def test_a_sweep_where_the_folder_of_ray_is_someone_else_s(tmp_path: Path) -> None:
    """In a namespace this process has no rights of root, and a folder of another user is nobody's."""
    with TemporaryDirectory() as short:
        others = Path(short, "ray")
        others.mkdir(mode=0o555)
        if os.getuid() == 0:
            os.chown(others, 12345, 12345)
        done = python("harness.search", *SMALL, "--runs-dir", str(tmp_path / "runs"), within=UNKNOWN_USER, TMPDIR=short)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert not list(others.iterdir())
        assert not list(Path(short).glob("harness-*")), "the folder in its place is removed"
    assert (tmp_path / "runs" / "label_lr" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(not can_be_unknown(), reason="no user namespaces here")
def test_a_sweep_of_a_user_without_name_and_home_where_tmpdir_is_long(long_folder: Path, tmp_path: Path) -> None:
    before = set(Path("/tmp").glob("harness-*"))
    done = python(
        "harness.search", *SMALL, "--runs-dir", str(tmp_path / "runs"), within=UNKNOWN_USER, TMPDIR=str(long_folder)
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert (tmp_path / "runs" / "label_lr" / "report.html").exists()
    assert set(Path("/tmp").glob("harness-*")) <= before, "Ray's folder is removed"
