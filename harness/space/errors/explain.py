"""Problems of a space, made from the validation errors of its document."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from harness.space.document import Document
from harness.space.errors.problems import KeyPath, Problem, nearest, short
from harness.space.errors.validation import Words, describe
from harness.space.settings import METHOD

Schema = dict[str, Any]

DEPENDENT_DEFAULT = "default_factory_not_called"
"""Pydantic's error for a default that depends on an invalid value, which has an error of its own."""


def explain(errors: Iterable[ErrorDetails], document: Any) -> Iterator[Problem]:
    """Give the problem that each error of validating `document` stands for."""
    for error in errors:
        if error["type"] != DEPENDENT_DEFAULT:
            path = tuple(part for part in error["loc"] if part != "[key]")
            yield Problem(path, *_words(error, path, document))


def _words(error: ErrorDetails, path: KeyPath, document: Any) -> Words:
    if error["type"] == "missing":
        return f"the key {path[-1]}", "nothing", f"add `{path[-1]}: …`"
    if error["type"] != "extra_forbidden":
        return describe(error)
    name = str(path[-1])
    if name == METHOD:
        return "a setting", "method, which is an arm's own", "write it beside the arm's fixed and parameters"
    return "a known key", f"the unknown key {short(name)}", nearest(name, _known_keys(path[:-1], document))


@cache
def _schema() -> Schema:
    return Document.model_json_schema()


def _known_keys(path: KeyPath, document: Any) -> list[str]:
    """List the keys that the schema allows at `path`; `document` decides between the members of a union."""
    node, value = _resolved(_schema(), document), document
    for part in path:
        below = node["items"] if isinstance(part, int) else node.get("properties", {}).get(part)
        if below is None:
            (below,) = node["patternProperties"].values()  # an arm, whose name is free
        value = value[part]
        node = _resolved(below, value)
    return list(node["properties"])


def _resolved(node: Schema, value: Any) -> Schema:
    """Follow references, and choose the member of a union: the one of the value's `type`, or that has keys or items."""
    if "$ref" in node:
        return _resolved(_schema()["$defs"][node["$ref"].rpartition("/")[2]], value)
    members = [_resolved(member, value) for member in (*node.get("anyOf", ()), *node.get("oneOf", ()))]
    if not members:
        return node
    kind = value.get("type") if isinstance(value, dict) else None
    same_type = [member for member in members if member.get("properties", {}).get("type", {}).get("const") == kind]
    return next(member for member in (*same_type, *members) if member.keys() & {"properties", "items"})
