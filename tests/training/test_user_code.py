"""A user's module that does not survive its import is refused with what it did and where, before anything is begun."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.training.config import user_code
from harness.training.config.user_code import check_imports
from tests.conftest import ROOT, run

PARSES = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr')\nparser.parse_args()\n"
AS_PROGRAM = 'keep what it does as a program under `if __name__ == "__main__":`'

MODULES = {
    "parses": (PARSES, f"raises SystemExit: 2, at parses.py:4; {AS_PROGRAM}"),
    "leaves": ("import sys\nsys.exit('no data')\n", f"raises SystemExit: no data, at leaves.py:2; {AS_PROGRAM}"),
    "gone": ("import os\nos._exit(3)\n", f"ends its process (exit code 3); {AS_PROGRAM}"),
    "killed": ("import os\nos.kill(os.getpid(), 9)\n", f"ends its process (SIGKILL); {AS_PROGRAM}"),
    "crashes": (
        "import ctypes\nctypes.string_at(0)\n",
        "ends its process (SIGSEGV): Segmentation fault, at crashes.py:2; keep",
    ),
    "stops": ("raise KeyboardInterrupt\n", "raises KeyboardInterrupt, at stops.py:1; mend it"),
    "asks": ("input()\n", "raises EOFError: EOF when reading a line, at asks.py:1"),
    "raises": (
        "def f():\n    raise ValueError('bad\\nworse')\nf()\n",
        "raises ValueError: bad, at raises.py:2; mend it",
    ),
    "unclosed": ("x = (\n", "raises SyntaxError: '(' was never closed (unclosed.py, line 1), at unclosed.py:1"),
    "needs": ("import no_such_module\n", "raises ModuleNotFoundError: No module named 'no_such_module', at needs.py:1"),
    "other": ("def net(*_): ...\n", "has no network; mend it"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the modules."""
    for name, (source, _) in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    (tmp_path / "good.py").write_text("from torch import nn\ndef network(*_): ...\nprint('loaded')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_does_at_its_import_is_told(here: Path, name: str) -> None:
    (problem,) = check_imports("model", [f"{name}:network", f"{name}:network", "mlp", "torchvision:resnet18"], ["mlp"])
    expected = (
        f"model: expected a function of a module that can be imported, got {name}:network, which {MODULES[name][1]}"
    )
    assert problem.startswith(expected)


def test_a_module_that_can_be_imported_has_no_problem(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert check_imports("model", ["good:network"]) == []
    assert capfd.readouterr() == ("", "")


def test_an_import_that_never_ends_is_given_up(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "endless.py").write_text("while True: pass\n", encoding="utf-8")
    monkeypatch.setattr(user_code, "IMPORT_SECONDS", 2.0)
    assert "endless:network, which is not imported within 2 s" in check_imports("model", ["endless:network"])[0]


@pytest.mark.parametrize("name", ["parses", "gone"])
def test_a_sweep_is_refused_and_leaves_nothing(here: Path, name: str) -> None:
    words = ("--space", str(ROOT / "search_spaces" / "label_lr.yaml"), "--set", f"model={name}:network")
    result = run("harness.search", *words, "--runs-dir", str(here / "runs"), cwd=here)
    assert result.code == 2, result.all
    assert f"got {name}:network, which {MODULES[name][1]}" in result.err
    assert len(result.err.splitlines()) == 1
    assert not (here / "runs").exists()


def test_a_single_run_says_so_too(here: Path) -> None:
    space = ROOT / "search_spaces" / "label_lr.yaml"
    program = [sys.executable, "-m", "harness.train", "--space", str(space), "--set", "model=leaves:network"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(program, cwd=here, capture_output=True, text=True, env=environment)
    assert result.returncode == 2, result.stderr
    assert re.search(r"SystemExit: no data, at leaves.py:2; ", result.stderr)
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_module_of_the_working_directory_is_imported_by_workers_too(here: Path, ray_address: str) -> None:
    (here / "layers.py").write_text("from harness.training.models.small_networks import mlp\n", encoding="utf-8")
    (here / "mine.py").write_text("from layers import mlp as network\n", encoding="utf-8")
    words = ("--space", str(ROOT / "search_spaces" / "label_lr.yaml"), "--set", "model=mine:network", "--trials", "2")
    result = run("harness.search", *words, "--address", ray_address, "--runs-dir", str(here / "runs"), cwd=here)
    assert result.code == 0, result.all
    assert "2/2 trials · 0 running · 0 failed" in result.out
