"""Constraints of a space file: arithmetic alone, and no more of it than a moment's."""

import time
from contextlib import suppress
from pathlib import Path

import pytest

from harness.space import SpaceError, load
from tests.conftest import ROOT, run

RUN = [
    "__import__('os').mkdir('sprung') <= lr",
    "open('sprung', 'w') <= lr",
    "lr.__class__.__mro__[1] <= 1",
    "(lambda: lr)() <= 1",
    "[x for x in [lr]] <= 1",
    "{**lr} <= 1",
    "max(*[lr]) <= 1",
    "max(lr, key=abs) <= 1",
    "(lr := 3) <= 1",
    "f'{lr}' <= 1",
    "lr[0] <= 1",
    "lr if lr else 1 <= 1",
    "(yield lr) <= 1",
    "(await lr) <= 1",
    "eval <= lr",
    "exec('1') <= lr",
    "getattr(lr, 'real') <= 1",
    "lr <= 1; import os",
    "lr in [1]",
    "lr @ lr <= 1",
    "lr << 9999999999 <= 1",
    "lr // 3 % 2 <= 1",
    "lr == 1",
    "'a' * 99999999 <= lr",
    "9 ** 9 <= __debug__",
]

EXHAUST = [
    "9**9**9**9 <= lr",
    "lr <= 9**9**9**9",
    "(-9)**9**9 <= lr",
    "10**400 <= lr",
    f"lr <= {'9' * 190}",
    f"lr <= {'9' * 5000}",
    f"{'(' * 95}lr{')' * 95} <= 1",
    f"{'-' * 190}lr <= 1",
    f"{'(' * 5000}lr{')' * 5000} <= 1",
    f"{'abs(' * 38}lr{')' * 38} <= 1",
    f"lr{'**9' * 60} <= 1",
    f"lr{'<1' * 90}",
    f"exp({'exp(' * 30}lr{')' * 30}) <= 1",
    "epochs ** epochs ** epochs ** epochs <= 1",
]


def space_of(tmp_path: Path, constraint: str) -> Path:
    file = tmp_path / "own.yaml"
    quoted = constraint.replace("'", "''")
    file.write_text((ROOT / "search_spaces" / "label_lr.yaml").read_text() + f"\nconstraints:\n  - '{quoted}'\n")
    return file


@pytest.mark.parametrize("constraint", RUN)
def test_anything_but_arithmetic_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constraint: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpaceError, match=r"own\.yaml:\d+: constraints\[0\]: expected .+, got .+; .+"):
        load(space_of(tmp_path, constraint))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.yaml"]


@pytest.mark.parametrize("constraint", EXHAUST)
def test_what_would_take_all_time_or_memory_is_refused_or_has_no_value_at_once(tmp_path: Path, constraint: str) -> None:
    began = time.perf_counter()
    with suppress(SpaceError):
        (kept,) = load(space_of(tmp_path, constraint)).constraints
        assert isinstance(kept.violation({"lr": 0.1, "epochs": 1e6}), float)
    assert time.perf_counter() - began < 2


def test_a_command_line_ends_in_words(tmp_path: Path) -> None:
    result = run("harness.search", "--space", str(space_of(tmp_path, RUN[0])), "--dry-run", cwd=tmp_path)
    assert result.code == 2
    assert "constraints[0]: expected numbers, names, + - * / **" in result.err
    assert not (tmp_path / "sprung").exists()
