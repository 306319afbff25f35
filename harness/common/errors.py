"""Base classes of the errors whose message is printed without a traceback.

Messages have the form "expected …, got …; do this". A command line catches `HarnessError` alone; any other exception is
a fault of the harness and shows its traceback.
"""

from typing import ClassVar


class HarnessError(Exception):
    """An error whose message tells the user what to do."""

    exit_code: ClassVar[int] = 2
    """Exit code of a command that ends with this error; 2 is bad input."""


class InputError(HarnessError):
    """An argument of a command or a function cannot be used. Nothing was changed."""


class NothingCompleted(HarnessError):
    """Nothing is complete: neither the trials that a command needs, nor its own runs."""

    exit_code = 1


def first_line(error: BaseException) -> str:
    """First line of an error's text; the name of its class if it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
