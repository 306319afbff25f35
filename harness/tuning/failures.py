"""Kinds of failed trials: the prefixes of their reasons."""

DIVERGED = "diverged"
OUT_OF_MEMORY = "out of memory"
TIME_LIMIT = "time limit"
WORKER_LOST = "worker lost"

BY_SETTINGS = (DIVERGED, OUT_OF_MEMORY, TIME_LIMIT)
"""Failures that the settings of a trial cause."""
