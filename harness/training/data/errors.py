"""How data say that they cannot be used."""


class DataError(ValueError):
    """A data set that cannot serve the run asked of it; says which setting to change."""
