"""Optuna's studies of a sweep in one journal: what to try next, and the record of every trial. Knows no Ray."""
