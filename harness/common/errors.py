"""Base classes of the errors that a command prints in words.

Their messages have the form "expected …, got …; do this" and stand without a traceback. A command line catches
`HarnessError` alone; anything else is a fault of the harness and shows its traceback.
"""

from typing import ClassVar


class HarnessError(Exception):
    """An error whose message tells the user what to do."""

    exit_code: ClassVar[int] = 2
    """Exit code of a command that ends with this error; 2 is bad input."""


class InputError(HarnessError):
    """An argument of a command or a function cannot be used. Nothing was changed."""


class NothingCompleted(HarnessError):
    """What the command builds on has no result yet, or it came to none itself."""

    exit_code = 1
