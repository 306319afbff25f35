"""What attacks leave where they work, and sweeps to try them on."""

import contextlib
import importlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.space import dump, load
from harness.tracking.spool.events import SweepEnded, SweepStarted
from harness.tuning.study.sweep_study import SweepStudy
from tests.conftest import Result
from tests.tracking.sweeps import write_events
from tests.tuning.conftest import run_all

SMALL = ("epochs=1", "search.trials=3")


@dataclass(frozen=True)
class Trap:
    """Pickled, it makes the folder `sprung` of whoever unpickles it."""

    sprung: Path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.sprung),)


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    made = Trap(tmp_path / "sprung")
    pickle.loads(pickle.dumps(made))
    assert made.sprung.exists(), "it works where it is not kept out"
    made.sprung.rmdir()
    return made


def malicious_npz(file: Path, trap: Trap, names: tuple[str, ...]) -> None:
    """Arrays of objects, as `np.load(…, allow_pickle=True)` would unpickle them."""
    held = np.empty(1, dtype=object)
    held[0] = trap
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        np.savez(stream, **dict.fromkeys(names, held))


def malicious_archive(file: Path, trap: Trap) -> None:
    """A file of torch's with another pickle in it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"version": 3}, file)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, pickle.dumps(trap) if name.endswith("data.pkl") else content)


def finished(runs: Path, name: str = "label_lr") -> Path:
    """A sweep at the end of its budget: the same command again runs nothing, and starts no Ray."""
    folder = runs / name
    write_events(folder / "spool", [SweepStarted(name=name, tags={"study": "label_lr"}), SweepEnded()])
    space = load("label_lr.yaml", SMALL)
    run_all(SweepStudy(folder / "study.journal", space))
    (folder / "space.yaml").write_text(dump(space))
    return folder


def again(runs: Path, *more: str) -> tuple[str, ...]:
    """The arguments of the search that made it."""
    return ("--space", "label_lr.yaml", "--set", "epochs=1", "--trials", "3", "--runs-dir", str(runs), *more)


def call(module: str, *arguments: str) -> Result:
    """What `python -m harness.MODULE ARGUMENTS` does, without the seconds that a process of its own takes."""
    main = importlib.import_module(f"harness.{module}" if module in FILES else f"harness.{module}.__main__").main
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return Result(code, out.getvalue(), err.getvalue())


FILES = ("compare", "dashboard", "report", "submit", "sync", "train")
"""Commands that are no packages."""
