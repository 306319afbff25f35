"""Problems of a space. One `SpaceError` holds them all, and prints one line for each:

label_lr.yaml:7: parameters.label_lr.low: expected a number, got the string '0,02'; write a number
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.common.errors import HarnessError
from harness.common.formatting import format_list
from harness.common.redaction import redact

MAX_QUOTE = 60

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document to one value in it."""


@dataclass(frozen=True)
class Origin:
    """Source of a value: a file and its line, counted from 1; or an override, which has no line."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One error in a space. The path is empty if the whole document is meant; Python values have no origin."""

    path: KeyPath
    expected: str
    got: str
    remedy: str
    origin: Origin | None = None

    def __str__(self) -> str:
        words = f"expected {self.expected}, got {self.got}; {self.remedy}"
        return printable(redact(": ".join(map(str, filter(None, (self.origin, format_path(self.path), words))))))


class SpaceError(HarnessError):
    """A space that cannot be used. `problems` holds all that is wrong with it, without repetitions."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


def format_path(path: KeyPath) -> str:
    """Format a path as a user writes it: `("points", 0, "lr")` is `points[0].lr`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shorten(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def quote(value: Any) -> str:
    """Format a value for an error: its type where that matters, and the value, shortened."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return f"the {'string' if isinstance(value, str) else 'number'} {shorten(repr(value))}"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return f"a mapping of {shorten(', '.join(map(str, value)) or 'nothing')}"
        case _:
            return f"a {type(value).__name__}"


def suggest_name(name: Any, choices: Iterable[str]) -> str:
    """Suggest the choice that an unknown name probably means; else list all choices."""
    choices = list(choices)
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"use one of {format_list(choices, 12)}"


def printable(text: str) -> str:
    """Escape control characters and lone surrogates, so that a terminal shows one plain line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shorten(text: str) -> str:
    """Cut a text that is too long for an error."""
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 1] + "…"
