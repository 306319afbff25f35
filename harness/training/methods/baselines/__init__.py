"""Baselines: other treatments of labels that may be wrong, one file each."""
