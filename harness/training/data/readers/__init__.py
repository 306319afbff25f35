"""Readers of data sets: one module for each kind of files, see `reader`."""
