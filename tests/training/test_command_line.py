"""`python -m harness.train` as a user runs it."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.conftest import ROOT, finish, run, start
from tests.support.kills import wait_until

SPACE = """\
study: one
fixed: {dataset: digits, noise: symmetric, noise_rate: 0.4, width: 16, epochs: 3}
arms:
  learned:
    method: learned
    parameters:
      label_lr: {type: float, low: 0.01, high: 10.0, log: true}
"""

WITHOUT_THE_REST = """\
from importlib.machinery import PathFinder

find = PathFinder.find_spec
absent = {"ray", "optuna", "mlflow", "rich", "pandas", "scipy", "matplotlib"}


def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in absent else find(name, path, target)


PathFinder.find_spec = find_spec
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    file = tmp_path / "here" / "one.yaml"
    file.write_text(SPACE)
    return file


def test_one_run_prints_its_curve_where_nothing_of_a_search_is_installed(space: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_THE_REST)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = run("harness.train", "--space", "one.yaml", "--set", "label_lr=0.3", cwd=space.parent, PYTHONPATH=path)
    assert (done.code, done.err) == (0, "")
    data, _, _, summary_line, header, *curve = done.out.splitlines()
    assert data.startswith("data: digits · 1,797 images")
    assert summary_line.startswith("learned: ")
    assert "label_lr 0.3" in summary_line
    assert re.split(r"\s{2,}", header) == [
        "epoch", "train loss", "meta loss", "val accuracy", "label accuracy", "corrected"
    ]  # fmt: skip
    assert [line.split()[0] for line in curve] == ["1", "2", "3"]
    assert all(0 <= float(value) < 5 for line in curve for value in line.split()[1:])
    assert sorted(path.name for path in space.parent.iterdir()) == ["one.yaml"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("label_lr=much", "expected a number, got the string 'much'"),
        ("lable_lr=0.3", "did you mean label_lr?"),
        ("dataset=digit", "did you mean digits?"),
        ("dataset=npz:absent.npz", "expected an npz file, got nothing"),
        ("model=no_such_module:f", "no_such_module"),
        ("meta_size=5000", "make one smaller"),
    ],
)
def test_bad_settings_data_and_models_are_refused_in_words(space: Path, override: str, words: str) -> None:
    done = run("harness.train", "--space", "one.yaml", "--set", override, cwd=space.parent)
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.out == "" or override.startswith("meta_size"), "refused before anything starts"


def test_a_run_that_diverges_says_of_what_and_when(space: Path) -> None:
    done = run("harness.train", "--space", "one.yaml", "--set", "lr=1.0e+30", cwd=space.parent)
    assert done.code == 1
    assert re.fullmatch(r"diverged: \w+ is (nan|-?inf) after epoch \d\n", done.err)


def test_an_interrupt_is_reported_in_a_line_and_ends_with_130(space: Path) -> None:
    process = start("harness.train", "--space", "one.yaml", "--set", "epochs=100000", cwd=space.parent)
    wait_until(lambda: re.search(r"^ *1 ", process.output(), re.M) is not None)
    process.send_signal(signal.SIGINT)
    done = finish(process, timeout=60)
    assert (done.code, done.err) == (130, "\ninterrupted: nothing was changed\n")
