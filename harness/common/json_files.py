"""JSON files: written atomically, and read without trust."""

import json
from pathlib import Path
from typing import Any

from harness.common.atomic_files import write_text


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON.

    Raises:
        ValueError: a number in it is not finite.
        OSError: the file cannot be written.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the mapping in a JSON file; None if the file is missing, damaged or holds something else."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
