"""JSON schema and reference page of space files, generated from the types of `harness.space.document`.

`python -m harness.space --write` writes both; a test compares the checked-in files.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from harness.space.constraints import NAMES
from harness.space.document import Document
from harness.space.settings import FIELDS

Schema = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
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
    """Generate the tables of the reference page; the text around them is that of `docs/space.md`."""
    return re.sub(
        r"(<!-- begin (\w+) -->\n).*?(<!-- end -->)", _generated, (ROOT / PAGE_FILE).read_text(), flags=re.DOTALL
    )


def _generated(part: re.Match[str]) -> str:
    begin, name, end = part.groups()
    if name == "names":
        return begin + ", ".join(f"`{name}`" for name in NAMES) + "\n" + end
    node = _document() if name == "Document" else _document()["$defs"][name]
    prose = "" if name == "Document" else _prose(node)
    return begin + "\n\n".join(filter(None, (prose, _table(node)))) + "\n" + end


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
