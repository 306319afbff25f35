"""Pydantic's validation errors: raise them with an expectation and a remedy, and describe any of them as text."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, ValidationError

from harness.space.errors.problems import KeyPath, quote, shorten, suggest_name

Words = tuple[str, str, str]
"""(expected, got, remedy)"""

Errors = Iterator[tuple[KeyPath, PydanticCustomError]]
"""Errors of one validator, each with its path below the validated value."""

DEPENDENT_DEFAULT = "default_factory_not_called"
"""Pydantic's error for a default that depends on an invalid value, which has an error of its own."""

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}
_LENGTHS = {"too_short": ("min_length", "at least"), "too_long": ("max_length", "at most")}
_NUMBERS = {"float_type": "a number", "int_type": "a whole number", "finite_number": "a finite number"}
_MAPPING_TYPES = ("dict_type", "mapping_type", "model_type", "model_attributes_type")
_TYPES = {
    "string_type": ("a string", "quote it"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "tuple_type": ("a list", "write [ … ]"),
    **dict.fromkeys(_MAPPING_TYPES, ("a mapping", "write `key: value` lines, or remove it")),
}

_WORDS_FOR_BOOLEANS = {
    **dict.fromkeys(("yes", "y", "on", "true", "1"), "true"),
    **dict.fromkeys(("no", "n", "off", "false", "0"), "false"),
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


def validate_in_words(known: Iterable[str], validator: Callable[[Any], Any], value: Any) -> Any:
    """Call the validator of a model that has the keys `known`, and describe its errors as text."""
    try:
        return validator(value)
    except ValidationError as error:
        errors = [details for details in error.errors() if details["type"] != DEPENDENT_DEFAULT]
        raise_all((details["loc"], invalid(*describe(details, known))) for details in errors)


def describe(error: ErrorDetails, known: Iterable[str] = ()) -> Words:
    """Describe one error as text, without its path. An error of an unlisted type keeps pydantic's message."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if context.keys() >= {"expected", "got", "remedy"}:  # of `invalid`, or of RunConfig's own validators
        return context["expected"], context["got"], context["remedy"]
    key = str(error["loc"][-1]) if error["loc"] else ""
    if kind == "missing":
        return f"the key {key}", "nothing", f"add `{key}: …`"
    if kind == "extra_forbidden" and key == "method":
        return "a setting", "method, which is an arm's own", "write it beside the arm's fixed and parameters"
    if kind == "extra_forbidden":
        return "a known key", f"the unknown key {shorten(key)}", suggest_name(key, known)
    if kind in _NUMBERS:
        return _NUMBERS[kind], quote(value), _number_remedy(value, whole=kind == "int_type")
    if kind in _BOUNDS:
        key, relation = _BOUNDS[kind]
        bound = f"{context[key]:g}" if isinstance(context[key], float) else str(context[key])
        got = str(value) if isinstance(value, int | float) else quote(value)
        return f"a number {relation} {bound}", got, f"choose a number {relation} {bound}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        expected = f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
        return expected, quote(value), suggest_name(value, choices) if isinstance(value, str) else "choose one of these"
    if kind == "string_pattern_mismatch":
        marks = ". _ -" if "._" in context["pattern"] else "_ -"
        return f"letters, digits and {marks} only, a letter or digit first", quote(value), "choose another name"
    if kind in _LENGTHS:
        key, relation = _LENGTHS[kind]
        entries = "entry" if context[key] == 1 else "entries"
        return f"{relation} {context[key]} {entries}", quote(value), "add or remove entries"
    if kind == "bool_type" and str(value).lower() in _WORDS_FOR_BOOLEANS:
        return _TYPES[kind][0], quote(value), f"write {_WORDS_FOR_BOOLEANS[str(value).lower()]}"
    if kind in _TYPES:
        expected, remedy = _TYPES[kind]
        return expected, quote(value), remedy
    return "another value", quote(value), error["msg"]


def _number_remedy(value: Any, whole: bool) -> str:
    """Remedy with the number that was meant by a string, such as '0.3' in quotes or 1_000."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        return "write a number"
    return f"write {round(number) if whole else number}"
