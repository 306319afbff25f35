"""Spaces built from Python values: the same spaces and the same words as from a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import harness
from harness.space import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Objective,
    Search,
    Space,
    SpaceError,
    dump,
    load,
    parse,
)
from harness.space.document import ArmEntry

from .conftest import SPACE

SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.y*ml"))
TYPES: dict[str, Callable[..., Any]] = {
    "float": FloatParameter,
    "int": IntParameter,
    "categorical": CategoricalParameter,
}


def typed(section: dict[str, Any]) -> dict[str, Any]:
    """The section of a file with parameter objects instead of mappings."""
    given = section.get("parameters", {})
    parameters = {
        name: TYPES[parameter["type"]](**{key: value for key, value in parameter.items() if key != "type"})
        for name, parameter in given.items()
    }
    return {**section, "parameters": parameters} if given else section


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_space_in_python_equals_the_loaded_one(file: Path) -> None:
    keys = yaml.safe_load(file.read_text())
    entries = {
        group: {name: typed(arm) for name, arm in keys.get(group, {}).items()} for group in ("arms", "baselines")
    }
    space = harness.Space(**{**typed(keys), **entries})
    assert space == load(file)
    assert parse(dump(space)) == space


def test_models_may_stand_for_mappings() -> None:
    space = Space(
        study="small",
        arms={"learned": ArmEntry(method="learned", parameters={"lr": FloatParameter(low=0.1, high=1.0)})},
        objective=Objective(metric="val_loss"),
        search=Search(trials=5),
    )
    assert space == parse(
        "study: small\narms: {learned: {method: learned, parameters: {lr: {type: float, low: 0.1, high: 1.0}}}}\n"
        "objective: {metric: val_loss}\nsearch: {trials: 5}"
    )
    assert space.with_search(trials=6).trials_per_arm() == {"learned": 6}


def test_every_problem_of_python_values_comes_at_once_in_the_words_of_a_file() -> None:
    keys = yaml.safe_load(SPACE)
    keys["arms"]["learned"]["parameters"]["label_lr"]["low"] = "1e-2"
    keys["arms"]["learned"]["parameters"]["meta_interval"] |= {"hihg": 3, "high": "8"}
    keys["fixed"]["noise_rate"] = float("nan")
    keys["baselines"]["learned"] = {"metod": "one_hot"}
    keys["serach"] = keys.pop("search") | {"pruner": {"type": "median", "warmup": 3}}
    with pytest.raises(SpaceError) as in_file:
        parse(yaml.safe_dump(keys, default_style=None).replace("1e-2", "'1e-2'"), "small.yaml")
    with pytest.raises(SpaceError) as in_python:
        Space(**keys)
    words = {line.split(": ", 1)[1] for line in str(in_file.value).splitlines()}
    assert set(str(in_python.value).splitlines()) == words
    assert "arms.learned.parameters.label_lr.low: expected a number, got the string '1e-2'; write 0.01" in words
    assert "serach: expected a known key, got the unknown key serach; did you mean search?" in words
    assert len(words) == 7


def test_a_bad_parameter_object_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="expected at least low, which is 2, got the number 1; swap low and high"):
        IntParameter(low=2, high=1)
