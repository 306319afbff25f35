"""How data say that they cannot be used."""

from harness.common.errors import HarnessError


class DataError(HarnessError, ValueError):
    """A data set that cannot serve the run asked of it; says which setting to change."""
