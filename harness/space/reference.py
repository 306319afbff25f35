"""The JSON schema and the reference page of space files, both made from the types that read them.

`python -m harness.space --write` writes them anew; a test sees that what is checked in is current.
"""

import json
from functools import cache
from typing import Any

from harness.space.constraints import NAMES
from harness.space.document import Document
from harness.space.settings import FIELDS

Schema = dict[str, Any]

SCHEMA_FILE = "search_spaces/schema.json"
PAGE_FILE = "docs/space.md"


@cache
def _document() -> Schema:
    return Document.model_json_schema()


def schema() -> str:
    """The JSON schema, as editors read it through a file's first line."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_document(), "title": "Space file"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The reference page, in Markdown."""
    sections = [_INTRODUCTION, "## The file", _table(_document())]
    for title, name in _SECTIONS:
        node = _document()["$defs"][name]
        sections += [title, _prose(node), _table(node)]
        sections += _AFTER.get(name, [])
    return "\n\n".join(section for section in sections if section) + "\n"


_INTRODUCTION = """\
<!-- Made by `python -m harness.space --write` from the types in harness/space; do not edit. -->

# Space files

A space file says what a sweep studies, against what, and how it is searched. The default,
[`search_spaces/label_lr.yaml`](../search_spaces/label_lr.yaml), shows most of it. With a first line
`# yaml-language-server: $schema=schema.json` an editor completes and checks a file as it is written.

Files in `search_spaces/` are found by their bare name. Every key not named here is an error, and all errors of a file
come at once, a line each:

    label_lr.yaml:7: parameters.label_lr.low: expected a number, got the string '1e-3'; write 1.0e-3

(YAML reads `1e-3` as a string; a number with an exponent needs a point and the exponent's sign.)

For one setting in one arm, the first of these that says anything about it decides: the arm's own `fixed` or
`parameters`; the shared `parameters`; the shared `fixed`; in a baseline, `train_on_meta: true`; the default.

## Changes from the command line

`--set key=value` changes the file before it is read; the value is YAML.

| written | meaning |
| --- | --- |
| `--set search.trials=12` | a path in the file |
| `--set arms.learned.parameters.label_lr.high=3` | as deep as it goes |
| `--set label_lr=0.3` | a setting: fixed so in every arm, and searched in none |
| `--set trials=12` | a key of `search` |"""

_SECTIONS = (
    ("## An arm, a baseline", "ArmEntry"),
    ("## Settings", "Settings"),
    ("## Parameters", "FloatParameter"),
    ("", "IntParameter"),
    ("", "CategoricalParameter"),
    ("## Objective", "Objective"),
    ("## Search", "Search"),
    ("## Stopping early", "StopWhen"),
    ("## Resources", "Resources"),
    ("## Samplers", "Tpe"),
    ("", "Random"),
    ("", "Qmc"),
    ("", "Gp"),
    ("", "CmaEs"),
    ("", "Nsga2"),
    ("", "Grid"),
    ("## Pruners", "SuccessiveHalving"),
    ("", "Hyperband"),
    ("", "Median"),
    ("", "Wilcoxon"),
    ("", "NoPruner"),
)

_AFTER = {
    "Objective": [
        "### Several objectives",
        "`objectives`, a list of two or more, stands in place of `objective`; the result is then the *Pareto front*: "
        "the trials that no other equals in every objective and beats in one.",
        "    objectives:\n      - {metric: val_accuracy}\n      - {metric: val_calibration_error}",
        "| metric | what it is | better |\n| --- | --- | --- |\n"
        "| `val_accuracy` | share of the validation images that are classified rightly | higher |\n"
        "| `val_loss` | cross-entropy on them, nats | lower |\n"
        "| `val_calibration_error` | how far the model's confidence in them is from its accuracy: expected calibration "
        "error in 15 bins of equal width | lower |\n"
        "| `epochs` | passes over the training images; a pass with label steps counts as one | lower |\n"
        "| `busy_seconds` | what the trial computed, all its seeds, set-up and label steps included; noisy: "
        "whatever else the machine does is in it, and the first trial of a worker is the slowest | lower |",
        "The first, or the only one, is `val_accuracy` or `val_loss`, since the others are easily had by learning "
        "nothing. All are those of the last epoch. Samplers for several: `tpe`, `gp`, `nsga2`, `random`, `qmc`, "
        "`grid`. There is no pruning: at an early epoch, no trial is known to be off the front.",
    ],
    "Settings": [
        "`fixed` gives one of these a value; `parameters` searches it. Real numbers are searched as `float` or "
        "`categorical`, whole numbers as `int` or `categorical`, all else as `categorical`; bounds and choices must be "
        "values that the setting allows."
    ],
    "CategoricalParameter": [
        "### when",
        "A parameter with `when` exists only beside the named values of other settings, all of them:",
        "    parameters:\n"
        "      labels: {type: categorical, choices: [instance, class]}\n"
        "      label_lr: {type: float, low: 0.01, high: 10.0, log: true, when: {method: learned}}\n"
        "      momentum: {type: float, low: 0.0, high: 0.95, when: {labels: [class]}}",
        "Where it does not exist, the setting keeps its fixed value. The other setting may be fixed, or searched as "
        "int or categorical.",
        "### points",
        "`points` of an arm are tried first, in their order: `points: [{label_lr: 1.0, meta_interval: 4}]`. What a "
        "point leaves out is suggested. `points: tried.yaml` takes the list from a YAML or JSON file beside the space "
        "file (`--set arms.learned.points=tried.json`: from the current folder); a sweep keeps the points themselves.",
        "### constraints",
        "A constraint is a comparison (`<`, `<=`, `>`, `>=`, also in a chain) of arithmetic: numbers, names, "
        "`+ - * / **`, brackets, and `abs`, `min`, `max`, `log`, `exp`, `sqrt`. The names are "
        + ", ".join(f"`{name}`" for name in NAMES)
        + ".",
    ],
}


def _table(node: Schema) -> str:
    required = node.get("required", [])
    rows = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for key, value in node["properties"].items():
        default = _default(key, value, required, node.get("title") == "Settings")
        cells = (f"`{key}`", _values(value), default, value.get("description", ""))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _prose(node: Schema) -> str:
    kind = node.get("properties", {}).get("type", {}).get("const")
    text = " ".join(node.get("description", "").split())
    return f"### {kind}\n\n{text}" if kind else text


def _default(key: str, node: Schema, required: list[str], is_setting: bool) -> str:
    if is_setting:
        return f"`{json.dumps(FIELDS[key].default)}`"
    if key in required:
        return "required"
    default = node.get("default")
    if default in (None, {}, []):
        return ""
    if isinstance(default, dict):
        return f"`{default['type']}`" if "type" in default else "see below"
    return f"`{json.dumps(default)}`"


def _values(node: Schema) -> str:
    if "$ref" in node:
        return _reference(node["$ref"].rpartition("/")[2])
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return " · ".join(f"`{value}`" for value in node["enum"])
    options: list[Schema] = [*node.get("anyOf", []), *node.get("oneOf", [])]
    if options:
        words = (word for option in options if option.get("type") != "null" for word in _values(option).split(" · "))
        return " · ".join(dict.fromkeys(words))
    if isinstance(node.get("type"), list):
        return "a value"
    return {
        "number": "a number",
        "integer": "a whole number",
        "boolean": "`true` · `false`",
        "string": "a name" if "pattern" in node else "text",
        "array": "a list",
        "object": "a mapping",
    }[node["type"]] + _bounds(node)


def _reference(name: str) -> str:
    node = _document()["$defs"][name]
    kind = node.get("properties", {}).get("type", {}).get("const")
    if kind:
        return f"`{kind}`"
    return "a comparison" if node["type"] == "string" else "a mapping"


def _bounds(node: Schema) -> str:
    words = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "up to {}",
        "exclusiveMaximum": "below {}",
    }
    found = [form.format(node[key]) for key, form in words.items() if key in node]
    return f" {', '.join(found)}" if found else ""
