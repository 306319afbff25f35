"""Errors of validation → problems with a file, a line and a remedy."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from harness.space.document import Document
from harness.space.errors.problems import Path, Problem, dotted, nearest, short
from harness.space.errors.wording import Words, in_words
from harness.space.settings import METHOD
from harness.space.yaml_file.source import Source

Schema = dict[str, Any]


def explain(errors: Iterable[ErrorDetails], source: Source) -> Iterator[Problem]:
    """Each error as a problem at the place in `source` that it is about."""
    for error in errors:
        path: Path = tuple(part for part in error["loc"] if not _is_tag(part) and part != "[key]")
        origin = source.origin(path)
        yield Problem(origin.file, origin.line, dotted(path), *_words(error))


def _words(error: ErrorDetails) -> Words:
    location = error["loc"]
    if error["type"] == "missing":
        return f"the key {location[-1]}", "nothing", f"add `{location[-1]}: …`"
    if error["type"] != "extra_forbidden":
        return in_words(error)
    name = str(location[-1])
    if name == METHOD:
        return "a setting", "method, which is an arm's own", "write it beside the arm's fixed and parameters"
    return "a known key", f"the unknown key {short(name)}", nearest(name, _keys(location[:-1]))


def _is_tag(part: str | int) -> bool:
    """Whether a part of a place names a member of a union, and no key."""
    return isinstance(part, str) and part.startswith("<") and part.endswith(">")


@cache
def _schema() -> Schema:
    return Document.model_json_schema()


def _keys(location: Path) -> list[str]:
    """The keys that the document's schema knows at a place (tags included), walking it from the top."""
    node = _schema()
    for part in location:
        node = _deref(node)
        if _is_tag(part):
            node = _member(node, str(part)[1:-1])
        elif isinstance(part, int):
            options: list[Schema] = [node, *node.get("anyOf", [])]
            node = next((option["items"] for option in options if "items" in option), {})
        else:
            named = node.get("patternProperties", {})  # the arms, by name
            node = node.get("properties", {}).get(part) or next(iter(named.values()), {})
    return list(_deref(node).get("properties", {}))


def _member(union: Schema, kind: str) -> Schema:
    """The member of a union, however it nests, whose `type` is `kind`."""
    for option in [*union.get("anyOf", []), *union.get("oneOf", [])]:
        member = _deref(option)
        if member.get("properties", {}).get("type", {}).get("const") == kind:
            return member
        deeper = _member(member, kind)
        if deeper:
            return deeper
    return {}


def _deref(node: Schema) -> Schema:
    while "$ref" in node:
        node = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
    return node
