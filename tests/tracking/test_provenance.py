"""Provenance holds enough to run a sweep again, and nothing private."""

import subprocess
from pathlib import Path

import pytest

from harness.results.provenance import CodeVersion, Provenance
from harness.tracking.provenance import code_version, collect
from tests.support.provenance import provenance


def test_this_process_has_a_provenance_that_its_file_gives_back(tmp_path: Path) -> None:
    collected = collect(["harness.search", "--space", "label_lr.yaml"])
    assert collected.command == "harness.search --space label_lr.yaml"
    assert {"torch", "ray", "optuna", "mlflow"} <= set(collected.versions)
    assert collected.hardware.cores >= 1
    assert collected.hardware.memory_bytes > 2**28
    assert collected.hardware.cpu
    collected.save(tmp_path)
    assert Provenance.load(tmp_path) == collected


def test_bytes_of_a_command_line_that_are_no_utf8_are_escaped(tmp_path: Path) -> None:
    collected = collect(["harness.search", "--set", "dataset=folder:r\udcfcn", "p\udcc3\udcbcre"])
    assert collected.command == "harness.search --set 'dataset=folder:r\\xfcn' 'püre'"
    collected.save(tmp_path)
    assert Provenance.load(tmp_path) == collected


def test_the_repr_is_a_line_with_commit_machine_and_day() -> None:
    assert repr(provenance()) == "Provenance(commit aaaaaaaaaaaa, a processor, 2026-01-02)"


def test_the_commit_and_whether_the_tree_was_changed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert code_version(tmp_path) == CodeVersion(commit=None, dirty=None), "no repository yet"
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    assert code_version(tmp_path) == CodeVersion(commit=git("rev-parse", "HEAD"), dirty=False)
    (tmp_path / "file").write_text("two")
    assert code_version(tmp_path).dirty is True


def test_neither_home_nor_other_variables_are_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    for name in ("MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "OMP_NUM_THREADS_TOKEN", "XOMP_NUM_THREADS"):
        monkeypatch.setenv(name, "S3cret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    collected = collect(["/home/someone/lab/search.py"])
    assert collected.command == "'~/lab/search.py'"
    assert collected.environment["OMP_NUM_THREADS"] == "1"
    text = collected.model_dump_json()
    assert "S3cret" not in text
    assert "someone" not in text


def test_tags_are_short_strings_to_search_runs_by() -> None:
    collected = collect(["x"])
    assert {"commit", "dirty", "cpu", "cores", "gpu", "torch"} <= set(collected.tags)
    assert all(isinstance(value, str) and len(value) < 500 for value in collected.tags.values())
    assert collected.trial_tags == {name: collected.tags[name] for name in ("commit", "dirty")}
