"""A disk that fills up, or that cannot be written, under a sweep: words, an exit code, and nothing lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Result, finish, run, start
from tests.support.disks import fill, small_disk
from tests.support.kills import ended, wait_for_file

SWEEP = ("--space", "label_lr.yaml", "--set", "epochs=20", "--set", "width=64", "--set", "search.pruner=none")
SWEEP += ("--set", "baselines={}", "--trials", "5")


def states(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "summary.json").read_text())["states"]
    return found


def whole(folder: Path) -> None:
    """No file of the sweep is half-written, and none is left that was begun."""
    from harness.common.checksums import decode_line
    from harness.tracking.spool import event_log

    assert (folder / "study.journal").read_bytes().endswith(b"\n")
    for line in (folder / "study.journal").read_text().splitlines():
        json.loads(line)
    lines = (folder / "spool" / event_log.FILE).read_bytes().splitlines(keepends=True)
    assert lines[-1].endswith(b"\n")
    assert None not in map(decode_line, lines)
    begun = [file for file in folder.rglob(".*") if file.is_file()]
    assert begun == []


@pytest.mark.slow
def test_a_disk_that_fills_up_stops_the_sweep_in_words_and_with_space_it_goes_on(
    tmp_path: Path, ray_address: str
) -> None:
    with small_disk(tmp_path / "runs", 64) as runs:
        folder = runs / "label_lr"
        command = (*SWEEP, "--address", ray_address, "--runs-dir", str(runs))
        with ended(start("harness.search", *command)) as process:
            wait_for_file(folder / "trials", "*/labels.npz", process)
            filler = fill(runs)
            stopped = finish(process, timeout=120)
        assert stopped.code == 3, stopped.all
        assert "Traceback" not in stopped.all
        said = stopped.err.strip().splitlines()[-1]
        assert said.startswith(f"{folder}: expected a disk with space, got: No space left on device")
        assert said.endswith("make space, and the same command goes on")
        whole(folder)
        full = run("harness.search", *command)
        assert full.code == 3, full.all
        assert "Traceback" not in full.all
        whole(folder)
        filler.unlink()
        again = run("harness.search", *command)
        assert again.code == 0, again.all
        assert states(folder) == {"complete": 5, "pruned": 0, "failed": 0}
        whole(folder)

        from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

        sweep = MlflowReader(f"sqlite:///{runs}/mlflow.db").sweep("label_lr")
        assert set(sweep.trials()["state"]) == {"complete"}
        steps = sweep.curves(["val_accuracy"]).groupby("trial")["step"].agg(list).to_dict()
        assert steps == {number: list(range(1, 21)) for number in range(5)}


def obeying_permissions(*arguments: str) -> Result:
    """`harness.search` without the power of a superuser to write where permission bits say no."""
    powers = "-dac_override,-dac_read_search"
    lesser = ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}") if os.geteuid() == 0 else ()
    if lesser and shutil.which("setpriv") is None:
        pytest.skip("expected the program setpriv, got none")
    words = [*lesser, sys.executable, "-m", "harness.search", *arguments]
    finished = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return Result(finished.returncode, finished.stdout, finished.stderr)


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def begun(runs: Path) -> Path:
    """A sweep that has begun: its folder, space and journal."""
    from harness.space import dump, load
    from harness.tuning.storage.sweep_folder import SweepFolder
    from harness.tuning.study.sweep_study import SweepStudy

    space = load("label_lr.yaml", ["search.trials=3"])
    with SweepFolder(runs / "label_lr") as folder:
        folder.space.write_text(dump(space))
        SweepStudy(folder.journal, space).next()
    return folder.path


def test_a_folder_on_a_read_only_disk_is_refused_in_words_and_stays_as_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "runs", 8) as runs:
        before = contents(begun(runs))
        subprocess.run(["mount", "-o", "remount,ro", str(runs)], check=True)
        result = run("harness.search", "--space", "label_lr.yaml", "--trials", "3", "--runs-dir", str(runs))
        assert result.code == 2, result.all
        assert f"cannot write in {runs}; name a folder of yours" in result.err
        assert "Traceback" not in result.all
        assert contents(runs / "label_lr") == before


@pytest.mark.parametrize("locked", ["the runs folder", "the sweep's folder", "its journal"])
def test_what_may_not_be_written_is_refused_in_words_and_stays_as_it_is(tmp_path: Path, locked: str) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    command = ("--space", "label_lr.yaml", "--trials", "3", "--runs-dir", str(runs))
    if locked == "the runs folder":
        runs.chmod(0o555)
    else:
        folder = begun(runs)
        (folder / "driver.lock").unlink()
        folder.chmod(0o555) if locked == "the sweep's folder" else (folder / "study.journal").chmod(0o444)
    before = contents(runs)
    result = obeying_permissions(*command)
    assert result.code == 2, result.all
    words = f"cannot write in {runs}" if locked == "the runs folder" else "Permission denied"
    assert words in result.err
    assert "Traceback" not in result.all
    assert {file: content for file, content in contents(runs).items() if file.name != "driver.lock"} == before
