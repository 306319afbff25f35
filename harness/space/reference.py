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
    """Generate the tables of the reference page; the text around them is that of `docs/space.md`.

    Where the package was installed without it, as from a wheel, the tables follow each other under their names.
    """
    file = ROOT / PAGE_FILE
    text = file.read_text(encoding="utf-8") if file.is_file() else _page_of_tables()
    return re.sub(r"(<!-- begin (\w+) -->\n).*?(<!-- end -->)", _part, text, flags=re.DOTALL)


def _page_of_tables() -> str:
    kinds = [name for name, node in _document()["$defs"].items() if "properties" in node]
    return "# Space files\n" + "".join(
        f"\n## {name}\n\n<!-- begin {name} -->\n<!-- end -->\n" for name in ("Document", *kinds)
    )


def _part(marked: re.Match[str]) -> str:
    begin, name, end = marked.groups()
    if name == "names":
        return begin + ", ".join(f"`{name}`" for name in NAMES) + f"\n{end}"
    node = _document() if name == "Document" else _document()["$defs"][name]
    kind, text = _type(node), " ".join(node.get("description", "").split())
    parts = (f"### {kind}" if kind else "", "" if name == "Document" else text, _table(node))
    return begin + "\n\n".join(filter(None, parts)) + f"\n{end}"


def _type(node: Schema) -> str | None:
    """Value of `type` that chooses this member of a union."""
    kind: str | None = node.get("properties", {}).get("type", {}).get("const")
    return kind


def _table(node: Schema) -> str:
    rows = []
    for key, value in node["properties"].items():
        if "const" not in value:  # the heading says the type
            default = f"`{json.dumps(FIELDS[key].default)}`" if node["title"] == "Settings" else _default(value)
            if key in node.get("required", []):
                default = "required"
            cells = (f"`{key}`", _values(value), default, value.get("description", ""))
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    head = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows]) if rows else ""


def _default(node: Schema) -> str:
    default = node.get("default")
    if default in (None, {}, []):
        return ""
    if isinstance(default, dict):
        return f"`{default['type']}`" if "type" in default else "see below"
    return f"`{json.dumps(default)}`"


def _values(node: Schema) -> str:
    if "$ref" in node:
        target = _document()["$defs"][node["$ref"].rpartition("/")[2]]
        named = f"`{_type(target)}`" if _type(target) else "a mapping"
        return "a comparison" if target["type"] == "string" else named
    if "enum" in node:
        return " · ".join(f"`{value}`" for value in node["enum"])
    options: list[Schema] = [*node.get("anyOf", []), *node.get("oneOf", [])]
    if options:
        values = (each for option in options if option.get("type") != "null" for each in _values(option).split(" · "))
        return " · ".join(dict.fromkeys(values))
    words = {
        "number": "a number",
        "integer": "a whole number",
        "boolean": "`true` · `false`",
        "string": "a name" if "pattern" in node else "text",
        "array": "a list",
        "object": "a mapping",
    }
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    limits = ", ".join(f"{word} {node[key]}" for key, word in bounds.items() if key in node)
    return f"{words[node['type']]} {limits}".strip()
