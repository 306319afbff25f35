"""The package as a user imports it, and `python -m harness` as a user types it."""

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import harness
from harness.__main__ import COMMANDS, main
from tests.support.blocked_modules import BLOCK_MODULES, modules_beside

ROOT = Path(__file__).parents[1]

USER_CODE = """\
import harness
import harness.search
from harness.results import SweepSummary

space: harness.Space = harness.load_space("label_lr.yaml")
result: SweepSummary = harness.search(space, name="mine")
harness.confirm("mine").verdict
harness.compare("mine", "other").table
proposed: int = harness.labels("mine").proposed
curve: list[dict[str, float]] = harness.train(harness.RunConfig(label_lr=0.3))
"""

TRAIN = """
import runpy

sys.argv = ["harness.train", "--space", "label_lr.yaml", "--set", "epochs=2", "--set", "meta_interval=4"]
runpy.run_module("harness.train", run_name="__main__", alter_sys=True)
"""


def python(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def test_importing_the_package_loads_no_other_module_of_it_or_of_others() -> None:
    code = "import sys; before = set(sys.modules); import harness; print(*sorted({*sys.modules} - before))"
    loaded = python("-c", code).stdout.split()
    assert [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names] == ["harness"]


@pytest.mark.parametrize("name", harness.__all__)
def test_every_public_name_is_found_and_documented(name: str) -> None:
    value = getattr(harness, name)
    assert callable(value)
    assert inspect.getdoc(value)
    assert name in dir(harness)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'serch'"):
        harness.serch  # noqa: B018


@pytest.mark.parametrize("how", ["import harness", "import harness.{}", "from harness import {}"])
def test_a_module_is_called_as_a_function_however_it_was_imported(how: str) -> None:
    first = {"search": "space", "confirm": "name", "compare": "names", "labels": "name", "train": "config"}
    imports = "; ".join(how.format(name) for name in first)
    shown = "; ".join(f"print(*inspect.signature(harness.{name}).parameters)" for name in first)
    done = python("-c", f"{imports}; import harness, inspect; {shown}")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(first.values()), done.stderr


def test_a_call_of_a_module_trains() -> None:
    curve = harness.train(harness.RunConfig(epochs=1, meta_interval=10))
    assert 0 < curve[0]["val_accuracy"] <= 1


def test_type_checkers_accept_the_functions(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER_CODE)
    done = python("-m", "mypy", "--strict", str(tmp_path / "user.py"))
    assert done.returncode == 0, done.stdout


def test_the_command_list_has_a_line_with_an_example_for_each_command() -> None:
    done = python("-m", "harness")
    assert done.returncode == 0
    for name in COMMANDS:
        assert sum(line.startswith(f"  harness {name}") for line in done.stdout.splitlines()) == 1


@pytest.mark.parametrize("name", ["search", "train", "space"])
def test_a_command_runs_alike_below_the_package(name: str) -> None:
    assert python("-m", "harness", name, "--help").stdout == python("-m", f"harness.{name}", "--help").stdout != ""


def test_an_unknown_command_is_refused_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serch"]) == 2
    assert capsys.readouterr().err == "harness: expected a command, got 'serch'; did you mean search?\n"


def test_the_console_script_is_the_same_main() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"harness": "harness.__main__:main"}


def test_training_alone_needs_five_packages() -> None:
    needed = ["torch", "torchvision", "scikit-learn", "PyYAML", "pydantic"]
    blocked = [module for module in modules_beside(needed) if module not in ("harness", "analysis")]
    assert {"grpc", "ray", "optuna", "mlflow", "pandas", "rich"} <= set(blocked)
    done = python("-c", BLOCK_MODULES + TRAIN, *blocked)
    assert done.returncode == 0, done.stderr
    assert "val accuracy" in done.stdout
