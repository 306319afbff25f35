"""Provenance of an imaginary machine."""

from typing import Any

from harness.results.provenance import Provenance


def provenance(**changes: Any) -> Provenance:
    """Provenance with `changes` in place of the defaults."""
    fields: dict[str, Any] = {
        "time": "2026-01-02T03:04:05+00:00",
        "command": "harness.search --space label_lr.yaml",
        "git": {"commit": "a" * 40, "dirty": False},
        "python": "3.11.9",
        "versions": {"torch": "2.14"},
        "hardware": {"cpu": "a processor", "cores": 2, "memory_bytes": 2**34, "gpus": []},
        "platform": "Linux",
        "host": "lab",
        "environment": {},
    }
    return Provenance(**{**fields, **changes})
