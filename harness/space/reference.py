"""JSON schema and reference page of space files, generated from the types of `harness.space.document`.

`python -m harness.space --write` writes both; a test compares the checked-in files.
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
    """Generate the JSON schema, which editors read through the first line of a file."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_document(), "title": "Space file"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """Generate the reference page in Markdown."""
    sections = [_INTRODUCTION, "## The file", _table(_document())]
    for title, name in _SECTIONS:
        node = _document()["$defs"][name]
        sections += [title, _prose(node), _table(node)]
        sections += _AFTER.get(name, [])
    return "\n\n".join(section for section in sections if section) + "\n"


_INTRODUCTION = """\
<!-- Made by `python -m harness.space --write` from the types in harness/space; do not edit. -->

# Space files

A space file defines a sweep: what is studied, what it is compared with, and how it is searched. The default,
[`search_spaces/label_lr.yaml`](../search_spaces/label_lr.yaml), shows most of it. With the first line
`# yaml-language-server: $schema=schema.json`, an editor completes and checks the file.

A file in `search_spaces/` is found by its bare name. An unknown key is an error. All errors of a file are printed
together, one line each:

    label_lr.yaml:7: parameters.label_lr.low: expected a number, got the string '1e-3'; write 1.0e-3

(YAML reads `1e-3` as a string: a number with an exponent needs a point and the sign of the exponent.)

The first of these that names a setting decides on it in an arm: the arm's own `fixed` or `parameters`; the shared
`parameters`; the shared `fixed`; `train_on_meta: true` in a baseline; the default.

## In Python

`harness.Space` takes the same keys, makes the same checks, and raises a `SpaceError` with the same messages, without
file and line. A parameter may be an object instead of a mapping with `type`:

```python
import harness
from harness.space import FloatParameter

space = harness.Space(
    study="label_lr",
    fixed={"dataset": "digits", "epochs": 10},
    arms={"learned": {"method": "learned", "parameters": {"label_lr": FloatParameter(low=0.01, high=10.0, log=True)}}},
    baselines={"one_hot": {"method": "one_hot"}},
    search={"trials": 12, "sampler": "random"},
)
```

## Overrides on the command line

`--set key=value` changes the file before it is validated. The value is YAML.

| option | meaning |
| --- | --- |
| `--set search.trials=12` | a path in the file |
| `--set arms.learned.parameters.label_lr.high=3` | a path of any depth |
| `--set label_lr=0.3` | a setting: fixed in every arm, and searched in none |
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
        "A list of two or more `objectives` replaces `objective`. The result is then the *Pareto front*: the trials "
        "that no other trial dominates.",
        "    objectives:\n      - {metric: val_accuracy}\n      - {metric: val_calibration_error}",
        "| metric | definition | better |\n| --- | --- | --- |\n"
        "| `val_accuracy` | share of the validation images that are classified correctly | higher |\n"
        "| `val_loss` | cross-entropy on them, nats | lower |\n"
        "| `val_calibration_error` | expected calibration error on them, 15 bins of equal width | lower |\n"
        "| `epochs` | passes over the training images | lower |\n"
        "| `busy_seconds` | computing time of the trial, with all its seeds, set-up and label steps; noisy: it depends "
        "on the load of the machine, and the first trial of a worker is the slowest | lower |",
        "The first or only one is `val_accuracy` or `val_loss`: a model that learns nothing is good in the others. All "
        "are measured at the last epoch. Samplers for several: `tpe`, `gp`, `nsga2`, `random`, `qmc`, `grid`. Several "
        "objectives cannot be pruned.",
    ],
    "Settings": [
        "`fixed` gives a setting a value; `parameters` searches it. Real numbers are searched as `float` or "
        "`categorical`, whole numbers as `int` or `categorical`, others as `categorical`. The setting must allow the "
        "bounds and choices."
    ],
    "CategoricalParameter": [
        "### when",
        "A parameter with `when` is active only if all the named settings have the given values:",
        "    parameters:\n"
        "      labels: {type: categorical, choices: [instance, class]}\n"
        "      label_lr: {type: float, low: 0.01, high: 10.0, log: true, when: {method: learned}}\n"
        "      momentum: {type: float, low: 0.0, high: 0.95, when: {labels: [class]}}",
        "While it is inactive, the setting has its fixed value. The other setting is fixed, or searched as int or "
        "categorical.",
        "### points",
        "The `points` of an arm are tried first, in order: `points: [{label_lr: 1.0, meta_interval: 4}]`. The sampler "
        "suggests what a point omits. `points: tried.yaml` reads the list from a YAML or JSON file beside the space "
        "file (`--set arms.learned.points=tried.json`: in the current folder). The sweep keeps the points themselves.",
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
