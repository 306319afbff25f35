"""What is wrong with a space, in words: expected, got, where, and what to do next.

A file is never half read: every problem found in it is held by one `SpaceError`, each rendering as one line,

    label_lr.yaml:7: parameters.label_lr.low: expected a number, got the string '1e-3'; write 1.0e-3
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from harness.common.errors import HarnessError
from harness.common.redaction import scrub

LONGEST_QUOTE = 60

Path = tuple[str | int, ...]
"""Keys and list positions that lead from the top of a file to one place in it."""


@dataclass(frozen=True)
class Origin:
    """Where something was written: a file and its line, counted from 1, or an override, which has none."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing to put right. `key` is the dotted path to it, empty where the file as a whole is meant."""

    file: str
    line: int | None
    key: str
    expected: str
    got: str
    remedy: str

    def __str__(self) -> str:
        where = [str(Origin(self.file, self.line)), self.key] if self.key else [str(Origin(self.file, self.line))]
        return printable(scrub(": ".join([*where, f"expected {self.expected}, got {self.got}; {self.remedy}"])))


class SpaceError(HarnessError):
    """A space that cannot be used; `problems` holds everything that is wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


def dotted(path: Path) -> str:
    """`("points", 0, "lr")` as a user writes it: `points[0].lr`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{short(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def quote(value: Any) -> str:
    """A value as an error names it: its type where that is the point, then the value, cut short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string {short(repr(value))}"
        case int() | float():
            return f"the number {short(repr(value))}"
        case list() | tuple():
            return "an empty list" if not value else f"a list of {len(value)}"
        case dict():
            return "an empty mapping" if not value else f"a mapping of {short(', '.join(map(str, value)))}"
        case _:
            return f"a {type(value).__name__}"


def nearest(name: str, known: Iterable[str]) -> str:
    """What to do about a name that is not known: the one that was probably meant, or all there are."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"use one of {', '.join(known)}" if known else "remove it"


def complaint(expected: str, got: str, remedy: str) -> PydanticCustomError:
    """A problem as a validator raises it; `explain` adds the place."""
    # The message goes through as context: as a template its braces would be read as fields.
    return PydanticCustomError("complaint", "complaint", {"expected": expected, "got": got, "remedy": remedy})


def complaints(title: str, found: Iterable[tuple[Path, PydanticCustomError]]) -> None:
    """Raise every problem found by one validator, each at its own place below it; no problem, no error."""
    details = [InitErrorDetails(type=error, loc=path, input=None) for path, error in found]
    if details:
        raise ValidationError.from_exception_data(title, details)


def printable(text: str) -> str:
    """One line of text that a terminal shows as it is: control characters and lone surrogates escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def short(text: str) -> str:
    """`text`, cut where it is too long for an error."""
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"
