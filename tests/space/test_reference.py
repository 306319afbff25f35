"""What is generated from the types is current, and says the same as they do."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness.space import dump, load, parse
from harness.space.reference import PAGE_FILE, SCHEMA_FILE, page, schema
from harness.training.config.methods import METHODS

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "search_spaces").glob("*.y*ml"))


def test_there_are_shipped_spaces() -> None:
    assert ROOT / "search_spaces" / "label_lr.yaml" in SHIPPED


@pytest.mark.parametrize(("name", "text"), [(SCHEMA_FILE, schema()), (PAGE_FILE, page())])
def test_what_is_checked_in_is_current(name: str, text: str) -> None:
    assert (ROOT / name).read_text() == text, "run `python -m harness.space --write`"


def test_the_page_describes_every_type() -> None:
    types = {name for name, node in json.loads(schema())["$defs"].items() if "properties" in node}
    methods = {f"{kind}.{method}" for kind in ("Settings", "Parameters") for method in METHODS}
    assert methods <= types
    assert {f"<!-- begin {name} -->" for name in types - methods - {"Parameters"}} <= set(page().splitlines())
    assert {f"### {name}" for name in METHODS} <= set(page().splitlines())


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_shipped_space_is_valid_and_names_its_schema(file: Path) -> None:
    space = load(file)
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    checked = jsonschema.Draft202012Validator(json.loads(schema()))
    checked.validate(yaml.safe_load(text))
    checked.validate(yaml.safe_load(dump(space)))
    assert all(arm.role == "arm" or arm.fixed["train_on_meta"] for arm in space.arms)


@pytest.mark.parametrize(
    "change",
    [
        {"nonsense": 1},
        {"study": "../x"},
        {"fixed": {"noise_rate": 1.5}},
        {"parameters": {"lr": {"low": 0.1, "high": 0.2}}},
        {"fixed": {"label_lrr": 1.0}},
        {"arms": {"x": {"method": "elr", "fixed": {"elr_momentum": 1.5}}}},
        {"arms": {"x": {"method": "elr", "fixed": {"gce_q": 0.5}}}},
        {"arms": {"x": {"method": "elr", "parameters": {"label_lr": {"type": "float", "low": 0.1, "high": 0.2}}}}},
        {"arms": {"x": {"method": "one_hot", "fixed": {"nonsense": 1}}}},
        {"arms": {"x": {"method": "one_hot", "points": [{"gce_q": 0.5}]}}},
        {"arms": {"x": {"method": "elrr"}}},
        {"search": {"sampler": "tpa"}},
        {"search": {"sampler": {"type": "tpe", "n": 3}}},
        {"arms": {}},
    ],
)
def test_the_schema_refuses_what_load_refuses(change: dict[str, object]) -> None:
    written = {"study": "a", "arms": {"x": {"method": "learned"}}}
    jsonschema.validate(written, json.loads(schema()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written | change, json.loads(schema()))
    with pytest.raises(Exception, match="expected"):
        parse(yaml.safe_dump(written | change))


def test_the_module_prints_the_page() -> None:
    command = [sys.executable, "-m", "harness.space"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == page()
