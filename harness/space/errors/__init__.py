"""Errors of a space: `problems` with their places, and pydantic's `validation` errors in the same form."""
