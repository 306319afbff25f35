"""JSON schema and reference page of space files, generated from the types of `harness.space.document`.

`python -m harness.space --write` writes both; a test compares the checked-in files.
"""

import json
import re
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.space.constraints import names_for
from harness.space.document import Document
from harness.space.settings import COMMON_FIELDS, Methods, parameter_adapter, value_adapter
from harness.training.config.method_lookup import method_class, parameters_type
from harness.training.config.methods import METHODS
from harness.training.config.run_config import check_method, default_settings

Schema = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
WRAPPER = textwrap.TextWrapper(width=80, initial_indent="    ", subsequent_indent="    ")
SCHEMA_FILE = "search_spaces/schema.json"
PAGE_FILE = "docs/space.md"


@cache
def _document() -> Schema:
    """The JSON schema of `Document`, with the settings that every arm and each method may have.

    A section that arms share takes the settings of all shipped methods; an arm those of its method. The parameters of a
    user's own method are not known to it, and are taken as they are.
    """
    schema = Document.model_json_schema()
    defs, entry = schema["$defs"], schema["$defs"]["ArmEntry"]
    own = {method: tuple(parameters_type(method).model_fields) for method in METHODS}
    defs["SettingNames"] = {"enum": list(COMMON_FIELDS)}
    for kind, words in (("Settings", "one value each"), ("Parameters", "values to search")):
        key = "fixed" if kind == "Settings" else "parameters"
        common = _properties(kind, (), tuple(COMMON_FIELDS), defs)
        defs[kind] = {**common, "description": f"Settings of every run, with {words}."}
        for method, names in own.items():
            defs[f"{kind}.{method}"] = _properties(kind, (method,), names, defs)
        schema["properties"][key] |= {
            "allOf": [{"$ref": f"#/$defs/{kind}"}, *({"$ref": f"#/$defs/{kind}.{method}"} for method in METHODS)],
            "propertyNames": _names(sum(own.values(), ())),
        }
        entry["properties"][key]["$ref"] = f"#/$defs/{kind}"
    entry["allOf"] = [
        {
            "if": {"properties": {"method": {"const": method}}, "required": ["method"]},
            "then": {
                "properties": {
                    "fixed": {"$ref": f"#/$defs/Settings.{method}", "propertyNames": _names(names)},
                    "parameters": {"$ref": f"#/$defs/Parameters.{method}", "propertyNames": _names(names)},
                    "points": {"items": {"$ref": f"#/$defs/Settings.{method}", "propertyNames": _names(names)}},
                }
            },
        }
        for method, names in own.items()
    ]
    return schema


def _names(own: tuple[str, ...]) -> Schema:
    names: Schema = {"$ref": "#/$defs/SettingNames"}
    return {"anyOf": [names, {"enum": list(dict.fromkeys(own))}]} if own else names


def _properties(kind: str, methods: Methods, names: tuple[str, ...], defs: Schema) -> Schema:
    """The schema of a mapping with these keys; definitions that it refers to are added to `defs`."""
    properties = {}
    for name in names:
        adapter = value_adapter if kind == "Settings" else parameter_adapter
        properties[name] = adapter(name, methods).json_schema(ref_template="#/$defs/{model}")
        defs |= properties[name].pop("$defs", {})
    return {"title": kind, "type": "object", "properties": properties}


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
    defs = _document()["$defs"].items()
    kinds = [name for name, node in defs if "properties" in node and "." not in name]  # NAME.METHOD: below methods
    return "# Space files\n" + "".join(
        f"\n## {name}\n\n<!-- begin {name} -->\n<!-- end -->\n" for name in ("Document", *kinds, "methods")
    )


def _part(marked: re.Match[str]) -> str:
    begin, name, end = marked.groups()
    if name == "names":
        return begin + ", ".join(f"`{name}`" for name in names_for(METHODS)) + f"\n{end}"
    if name == "methods":
        return begin + "\n\n".join(map(_method, METHODS)) + f"\n{end}"
    node = _document() if name == "Document" else _document()["$defs"][name]
    defaults = default_settings("one_hot") if name == "Settings" else {}
    kind, text = _type(node), " ".join(node.get("description", "").split())
    parts = (f"### {kind}" if kind else "", "" if name == "Document" else text, _table(node, defaults))
    return begin + "\n\n".join(filter(None, parts)) + f"\n{end}"


def describe_method(method: str) -> str:
    """Return what a method is and its parameters, as text for a terminal; an error for pydantic if there is none."""
    check_method(method)
    fields, defaults = parameters_type(method).model_fields, default_settings(method)
    lines = [f"{method}: {summary(method) or 'a method of your own'}", ""]
    for name, field in fields.items():
        values = _values(value_adapter(name, (method,)).json_schema()).replace("`", "")
        lines += [f"{name}: {values}; default {json.dumps(defaults[name])}"]
        lines += [WRAPPER.fill(field.description)] if field.description else []
    return "\n".join(lines if fields else [*lines[:1], "It has no parameters of its own."])


def summary(method: str) -> str:
    """First docstring line of a method: of its `Parameters`, or of the class of a user's own."""
    text = (parameters_type(method) if method in METHODS else method_class(method)).__doc__ or ""
    return text.strip().partition("\n")[0]


def _method(method: str) -> str:
    """A heading, what the method is, and a table of its parameters."""
    table = _table(_document()["$defs"][f"Settings.{method}"], default_settings(method))
    return "\n\n".join(filter(None, (f"### {method}", summary(method), table)))


def _type(node: Schema) -> str | None:
    """Value of `type` that chooses this member of a union."""
    kind: str | None = node.get("properties", {}).get("type", {}).get("const")
    return kind


def _table(node: Schema, defaults: Mapping[str, Any] = MappingProxyType({})) -> str:
    rows = []
    for key, value in node["properties"].items():
        if "const" not in value:  # the heading says the type
            default = f"`{json.dumps(defaults[key])}`" if key in defaults else _default(value)
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
        values = (value for option in options if option.get("type") != "null" for value in _values(option).split(" · "))
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
