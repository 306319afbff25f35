"""What is taken down about a result is enough to run it again, and nothing private."""

import json
import subprocess
from pathlib import Path

import pytest

from harness.tracking import provenance


def test_the_facts_are_there_and_are_json() -> None:
    facts = provenance.collect(["harness.search", "--space", "label_lr.yaml"])
    assert json.loads(json.dumps(facts)) == facts
    assert facts["command"] == "harness.search --space label_lr.yaml"
    assert {"torch", "ray", "optuna", "mlflow"} <= set(facts["versions"])
    assert facts["hardware"]["cores"] >= 1
    assert facts["hardware"]["memory_bytes"] > 2**28
    assert facts["hardware"]["cpu"]


def test_the_commit_and_whether_the_tree_was_changed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    assert provenance.git(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "file").write_text("two")
    assert provenance.git(tmp_path)["dirty"] is True


def test_code_that_is_in_no_repository_has_no_commit(tmp_path: Path) -> None:
    assert provenance.git(tmp_path) == {"commit": None, "dirty": None}


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["--tracking-uri", "https://me:pw@lab/x?key=pw"], "--tracking-uri https://lab/x"),
        (["--api-key", "pw", "--seed", "3"], "--api-key '***' --seed 3"),
        (["--password=pw"], "'--password=***'"),
        (["--set", "hub_token=pw"], "--set 'hub_token=***'"),
    ],
)
def test_secrets_are_left_out_of_the_command(typed: list[str], kept: str) -> None:
    assert provenance.command_line(typed) == kept


def test_neither_home_nor_other_variables_are_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    facts = provenance.collect(["/home/someone/lab/search.py"])
    assert facts["command"] == "'~/lab/search.py'"
    assert facts["environment"]["OMP_NUM_THREADS"] == "1"
    assert "hush" not in json.dumps(facts)
    assert "someone" not in json.dumps(facts)


def test_tags_are_short_strings_to_search_runs_by() -> None:
    tags = provenance.tags(provenance.collect(["x"]))
    assert {"commit", "dirty", "cpu", "cores", "gpu", "torch"} <= set(tags)
    assert all(isinstance(value, str) and len(value) < 500 for value in tags.values())
