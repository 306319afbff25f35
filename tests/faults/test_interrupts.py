"""Ctrl-C: once ends a sweep in order, twice ends it now; state is kept and no process stays behind."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import Process, finish, run, start
from tests.support.kills import ended, wait_for_file

pytestmark = pytest.mark.slow

SWEEP = ("--space", "label_lr.yaml", "--set", "epochs=30", "--set", "width=64", "--set", "search.pruner=none")
SWEEP += ("--set", "baselines={}", "--trials", "4")


def press_ctrl_c(process: Process) -> None:
    """As a terminal does: the signal goes to the whole process group, including Ray's processes."""
    os.killpg(process.pid, signal.SIGINT)


def below(process: Process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def gone(processes: list[psutil.Process], timeout: float = 90) -> bool:
    """Whether all have ended; the one that feeds MLflow takes a moment longer than the sweep."""
    _, alive = psutil.wait_procs(processes, timeout)
    return not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_twice_ends_the_sweep_now_and_the_same_command_goes_on(tmp_path: Path, ray_address: str) -> None:
    words = (*SWEEP, "--runs-dir", str(tmp_path))
    with ended(start("harness.search", *words)) as process:
        wait_for_file(tmp_path / "label_lr" / "trials", "*/labels.npz", process)
        children = below(process)
        press_ctrl_c(process)
        time.sleep(0.5)
        press_ctrl_c(process)
        pressed = time.monotonic()
        interrupted = finish(process, timeout=60)
    assert time.monotonic() - pressed < 20
    assert interrupted.code == 130, interrupted.all
    assert "the same command goes on" in interrupted.err
    assert "Traceback" not in interrupted.all
    assert len(children) > 3, "Ray's own among them"
    assert gone(children)
    again = run("harness.search", *words, "--address", ray_address)
    assert again.code == 0, again.all
    summary = json.loads((tmp_path / "label_lr" / "summary.json").read_text())
    assert summary["states"] == {"complete": 4, "pruned": 0, "failed": 0}


def test_one_interrupt_while_ray_starts_leaves_no_ray_process(tmp_path: Path) -> None:
    with ended(start("harness.search", *SWEEP, "--runs-dir", str(tmp_path))) as process:
        until = time.monotonic() + 120
        while not any("raylet" in one.name() for one in below(process)):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        children = below(process)
        press_ctrl_c(process)
        interrupted = finish(process, timeout=90)
    assert interrupted.code == 130, interrupted.all
    assert "Traceback" not in interrupted.all
    assert gone(children)
