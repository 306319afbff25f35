"""The package installed from a wheel, without this repository: what it holds, what it needs, and that it works."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.docs.code_blocks import ROOT, code_blocks
from tests.support.blocked_modules import BLOCK_MODULES, module_owners, modules_beside, required

pytestmark = pytest.mark.slow

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "harness", "analysis", "search_spaces")

SHOW = """
import harness, sys

print("harness is", harness.__file__)
print("wrong labels put right", float(put_right))
print("others", *sorted({name.partition(".")[0] for name in sys.modules} & {"numpy", "yaml", "pydantic", "ray"}))
"""


def check(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources: setuptools leaves files beside them."""
    sources, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    check(["cp", "-r", *(str(ROOT / name) for name in SOURCES), str(sources)])
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index"]
    check([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(sources)])
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel alone is installed into."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    check([*pip, "--no-deps", "--target", str(folder), str(wheel)])
    return folder


def test_it_holds_the_packages_their_files_and_the_spaces(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("harness", "analysis"):
        modules = {str(file.relative_to(ROOT)) for file in (ROOT / folder).rglob("*.py")}
        assert len(modules) > 20
        assert modules <= names
    spaces = {str(file.relative_to(ROOT)) for file in (ROOT / "search_spaces").rglob("*.*")}
    assert "search_spaces/label_lr.yaml" in spaces
    assert spaces <= names
    assert {"harness/py.typed", "analysis/confirm.ipynb", "analysis/report/page.css"} <= names
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        "harness", "analysis", "search_spaces",
    }  # fmt: skip


def test_beside_torch_alone_it_runs_the_loop_of_the_page(installed: Path, tmp_path: Path) -> None:
    blocked = modules_beside(["torch"])
    assert {"numpy", "pydantic", "yaml", "torchvision", "ray", "optuna", "mlflow", "scipy"} <= set(blocked)
    blocked = [name for name in blocked if name != "harness"]
    loop = "\n".join(code for _, code in code_blocks(ROOT / "docs" / "your-own-loop.md")[:2])
    paths = [str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    program = tmp_path / "loop.py"
    program.write_text(f"{BLOCK_MODULES}\nsys.path += {paths}\n{loop}\n{SHOW}")
    # -I and -S: no environment, no current folder, no .pth file that leads to this repository.
    done = check([sys.executable, "-I", "-S", str(program), *blocked], cwd=tmp_path)
    assert f"harness is {installed / 'harness' / '__init__.py'}" in done.stdout
    assert float(done.stdout.partition("put right ")[2].split()[0]) > 0.7
    assert done.stdout.rstrip().endswith("others")


def test_the_commands_run_in_another_folder(installed: Path, tmp_path: Path) -> None:
    """A sweep of a shipped space by its bare name, and the reference of space files."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    harness = str(installed / "bin" / "harness")
    small = ("--space", "label_lr.yaml", "--set", "width=16", "--set", "epochs=1", "--trials", "3")
    swept = check([sys.executable, harness, "search", *small], cwd=tmp_path, env=environment)
    assert "3/3 trials" in swept.stdout
    assert "learned" in swept.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == ["runs"]
    assert (tmp_path / "runs" / "label_lr" / "report.html").is_file()
    page = check([sys.executable, harness, "space"], cwd=tmp_path, env=environment).stdout
    for key in ("`study`", "`label_lr`", "`sampler`", "`limit_seconds`", "`min_epochs`"):
        assert key in page


def test_its_dependencies_bring_all_that_it_imports_but_for_the_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = required(re.split(r"[^\w.-]", requirement)[0] for requirement in project["dependencies"])
    imported: set[str] = set()
    for file in (path for folder in ("harness", "analysis") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    imported -= sys.stdlib_module_names | {"harness", "analysis"}
    assert {"torch", "ray", "optuna", "mlflow"} <= imported
    owners = module_owners()
    missing = {name for name in imported if not owners.get(name, set()) & brought}
    assert missing == {"cleanlab", "optuna_dashboard", "nbclient", "nbformat", "traitlets"}
