# ruff: noqa: E501  (a line that a terminal shows is one line here too)
"""Points that stand in a file of their own."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.space import Space, dump, load, parse

Problems = Callable[..., list[str]]

POINTS = [{"label_lr": 2e-2, "meta_interval": 4}, {"label_lr": 1}]


def beside(place: Path, text: str = json.dumps(POINTS, indent=1)) -> str:
    place.write_text(text)
    return f"    method: learned\n    points: {place}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tried.yaml", "- {label_lr: 0.02, meta_interval: 4}\n- label_lr: 1\n"),
        ("tried.json", '[{"label_lr": 2e-02, "meta_interval": 4},\n {"label_lr": 1}]'),
    ],
)
def test_a_file_of_points_reads_as_the_same_points_inline(loaded: Callable[..., Space], name: str, text: str) -> None:
    space = loaded("    method: learned\n", beside(Path(name), text))
    assert space.arm("learned").points == ({"label_lr": 0.02, "meta_interval": 4}, {"label_lr": 1.0})
    assert parse(dump(space)) == space, "a sweep keeps the points, not the path"
    Path(name).unlink()
    assert parse(dump(space)) == space


def test_the_path_is_seen_from_the_space_file_and_on_the_command_line_from_here(
    loaded: Callable[..., Space], space_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(loaded("    method: learned\n", beside(Path("all.json"))).arm("learned").points) == 2
    here = space_file.parent / "here"
    here.mkdir()
    (here / "few.json").write_text(json.dumps(POINTS[1:]))
    monkeypatch.chdir(here)
    assert len(load(space_file).arm("learned").points) == 2
    assert load(space_file, ["arms.learned.points=few.json"]).arm("learned").points == ({"label_lr": 1.0},)


def test_a_setting_fixed_on_the_command_line_leaves_the_points_of_a_file(loaded: Callable[..., Space]) -> None:
    space = loaded("    method: learned\n", beside(Path("tried.json")), ["label_lr=0.3"])
    assert space.arm("learned").points == ({"meta_interval": 4}, {})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("- {label_lr: 0.02}\n- {label_lr: 11.0}\n",
         "tried.yaml:2: arms.learned.points[1].label_lr: expected a value that the search could suggest, got the number 11.0; choose another, or extend the parameter"),
        ("- label_lr: 0.02\n  metaintervall: 3\n",
         "tried.yaml:2: arms.learned.points[0].metaintervall: expected a known key, got the unknown key metaintervall; did you mean meta_interval?"),
        ("label_lr: 0.02\n",
         "tried.yaml:1: arms.learned.points: expected a list, got a mapping of label_lr; write [ … ]"),
        ("", "tried.yaml:1: arms.learned.points: expected a list, got nothing; write [ … ]"),
        ("other.yaml\n", "tried.yaml:1: arms.learned.points[0]: expected a mapping, got the string 'other.yaml'; write `key: value` lines, or remove it"),
        ("- {label_lr: 1.0}\n- {label_lr: 1.0, label_lr: 2.0}\n",
         "tried.yaml:2: arms.learned.points[1].label_lr: expected each key once, got it again after line 2; remove one of the two"),
        ("- {label_lr: 1.0\n", "tried.yaml:2: arms.learned.points: expected readable YAML, got expected ',' or '}', but got '<stream end>'; check the quotes, brackets, colons and indentation (spaces, not tabs)"),
    ],
)  # fmt: skip
def test_problems_of_the_points_file_are_reported_with_its_name_and_line(
    problems: Problems, text: str, line: str
) -> None:
    assert problems("    method: learned\n", beside(Path("tried.yaml"), text)) == [line]


def test_a_missing_points_file_is_reported_at_the_line_that_names_it(problems: Problems) -> None:
    named = "    method: learned\n    points: nowhere.yaml\n"
    assert problems("    method: learned\n", named) == [
        "nowhere.yaml: arms.learned.points: expected a readable file, got No such file or directory; check the path and its permissions"
    ]
