"""A validation error of pydantic in the words of a space: what was expected, what came, what to do."""

import math
from typing import Any

from pydantic_core import ErrorDetails

from harness.space.errors.problems import nearest, quote

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}

_KINDS = {
    "string_type": ("a string", "quote it"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "tuple_type": ("a list", "write [ … ]"),
    "list_type": ("a list", "write [ … ]"),
    "dict_type": ("a mapping", "write `key: value` lines, or remove it"),
    "mapping_type": ("a mapping", "write `key: value` lines, or remove it"),
    "model_type": ("a mapping", "write `key: value` lines, or remove it"),
    "model_attributes_type": ("a mapping", "write `key: value` lines, or remove it"),
    "finite_number": ("a finite number", "write a number"),
}

Words = tuple[str, str, str]
"""(expected, got, remedy)"""


def in_words(error: ErrorDetails) -> Words:
    """The words for one error, without its place. A kind of error not listed here speaks pydantic's own words."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "complaint":
        return context["expected"], context["got"], context["remedy"]
    if kind in ("float_type", "int_type"):
        return _number("a number" if kind == "float_type" else "a whole number", value, kind == "int_type")
    if kind in _BOUNDS:
        key, relation = _BOUNDS[kind]
        bound = f"{context[key]:g}" if isinstance(context[key], float) else str(context[key])
        return f"a number {relation} {bound}", _plain(value), f"choose a number {relation} {bound}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        expected = f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
        return (
            expected,
            quote(value),
            nearest(value, choices) if isinstance(value, str) else "choose one of these",
        )
    if kind == "string_pattern_mismatch":
        signs = ". _ -" if "._" in context["pattern"] else "_ -"
        return f"letters, digits and {signs} only, a letter or digit first", quote(value), "choose another name"
    if kind in ("too_short", "too_long"):
        bound = context["min_length"] if kind == "too_short" else context["max_length"]
        relation = "at least" if kind == "too_short" else "at most"
        return (
            f"{relation} {bound} {'entry' if bound == 1 else 'entries'}",
            quote(value),
            "add or remove entries",
        )
    if kind in _KINDS:
        expected, remedy = _KINDS[kind]
        return expected, quote(value), remedy
    return "another value", quote(value), error["msg"]


def _number(expected: str, value: Any, whole: bool) -> Words:
    """YAML 1.1 reads `1e-3` as a string, for want of a point: the commonest slip of all."""
    if isinstance(value, str):
        try:
            meant = float(value.replace("_", ""))
        except ValueError:
            return expected, quote(value), "write a number, without quotes"
        if whole and meant.is_integer():
            return expected, quote(value), f"write {int(meant)}"
        if not whole and math.isfinite(meant):
            return expected, quote(value), f"write {_as_yaml(value)}"
    if whole and isinstance(value, float):
        return expected, quote(value), f"write {round(value)}"
    return expected, quote(value), "write a number"


def _as_yaml(number: str) -> str:
    """A number as it was written, with the point and the exponent's sign that YAML 1.1 wants."""
    mantissa, mark, exponent = number.strip().lower().partition("e")
    if mark and "." not in mantissa:
        mantissa += ".0"
    return mantissa + mark + (exponent if not mark or exponent[0] in "+-" else f"+{exponent}")


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, int | float) else quote(value)
