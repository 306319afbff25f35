"""Errors of a run. Imports no torch."""

from harness.common.errors import HarnessError


class DataError(HarnessError, ValueError):
    """A data set, teacher or model cannot serve the run; the message names the setting to change."""


class DivergenceError(ArithmeticError):
    """A loss or the labels are no longer finite. A result with a reason, not a fault."""
