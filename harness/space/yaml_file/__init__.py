"""Space files: `reader` keeps lines, `load` makes a `Space`, `overrides` and `points` change its data."""
