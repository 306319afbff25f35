"""Pydantic's validation errors: raise them with an expectation and a remedy, and describe any of them in words."""

import math
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, ValidationError

from harness.space.errors.problems import KeyPath, nearest, quote

Words = tuple[str, str, str]
"""(expected, got, remedy)"""

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}

_LENGTHS = {"too_short": ("min_length", "at least"), "too_long": ("max_length", "at most")}

_A_LIST = ("a list", "write [ … ]")
_A_MAPPING = ("a mapping", "write `key: value` lines, or remove it")
_TYPES = {
    "string_type": ("a string", "quote it"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "finite_number": ("a finite number", "write a number"),
    **dict.fromkeys(("tuple_type", "list_type"), _A_LIST),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), _A_MAPPING),
}


def invalid(expected: str, got: str, remedy: str) -> PydanticCustomError:
    """Make the error that a validator raises; pydantic adds the path."""
    context = {"expected": expected, "got": got, "remedy": remedy}
    return PydanticCustomError("invalid", "expected {expected}, got {got}; {remedy}", context)


def raise_all(errors: Iterable[tuple[KeyPath, PydanticCustomError]]) -> None:
    """Raise all errors of one validator together, each at its path below the validated value; none: return."""
    details = [InitErrorDetails(type=error, loc=path, input=None) for path, error in errors]
    if details:
        raise ValidationError.from_exception_data("Space", details)


def describe(error: ErrorDetails) -> Words:
    """Put one error in words, without its path. An error of an unlisted type keeps pydantic's message."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if context.keys() >= {"expected", "got", "remedy"}:  # of `invalid`, or of RunConfig's own validators
        return context["expected"], context["got"], context["remedy"]
    if kind == "float_type":
        return "a number", quote(value), _number_remedy(value)
    if kind == "int_type":
        return "a whole number", quote(value), _integer_remedy(value)
    if kind in _BOUNDS:
        key, relation = _BOUNDS[kind]
        bound = f"{context[key]:g}" if isinstance(context[key], float) else str(context[key])
        got = str(value) if isinstance(value, int | float) else quote(value)
        return f"a number {relation} {bound}", got, f"choose a number {relation} {bound}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        expected = f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
        return expected, quote(value), nearest(value, choices) if isinstance(value, str) else "choose one of these"
    if kind == "string_pattern_mismatch":
        marks = ". _ -" if "._" in context["pattern"] else "_ -"
        return f"letters, digits and {marks} only, a letter or digit first", quote(value), "choose another name"
    if kind in _LENGTHS:
        key, relation = _LENGTHS[kind]
        entries = "entry" if context[key] == 1 else "entries"
        return f"{relation} {context[key]} {entries}", quote(value), "add or remove entries"
    if kind in _TYPES:
        expected, remedy = _TYPES[kind]
        return expected, quote(value), remedy
    return "another value", quote(value), error["msg"]


def _number_remedy(value: Any) -> str:
    meant = _parse_number(value)
    if meant is not None and math.isfinite(meant):
        return f"write {_yaml_number(value)}"
    return "write a number, without quotes" if isinstance(value, str) and meant is None else "write a number"


def _integer_remedy(value: Any) -> str:
    if isinstance(value, float):
        return f"write {round(value)}" if math.isfinite(value) else "write a number"
    meant = _parse_number(value)
    if meant is not None and meant.is_integer():
        return f"write {int(meant)}"
    return "write a number, without quotes" if isinstance(value, str) and meant is None else "write a number"


def _parse_number(value: Any) -> float | None:
    """Parse a string that was meant as a number: YAML 1.1 reads `1e-3` as a string, as it lacks a point."""
    try:
        return float(value.replace("_", "")) if isinstance(value, str) else None
    except ValueError:
        return None


def _yaml_number(number: str) -> str:
    """Write a number with the point and the sign of the exponent that YAML 1.1 needs."""
    mantissa, mark, exponent = number.strip().lower().partition("e")
    if mark and "." not in mantissa:
        mantissa += ".0"
    return mantissa + mark + (exponent if not mark or exponent[0] in "+-" else f"+{exponent}")
