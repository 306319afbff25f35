"""How the reasons of failed trials begin: what tells one kind from another wherever one is read."""

DIVERGED = "diverged"
OUT_OF_MEMORY = "out of memory"
TIME_LIMIT = "time limit"
WORKER_LOST = "worker lost"

BY_SETTINGS = (DIVERGED, OUT_OF_MEMORY, TIME_LIMIT)
"""Of failures that follow from a trial's settings."""
