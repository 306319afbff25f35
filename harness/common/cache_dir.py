"""Folder of files that can be deleted at any time: decoded data sets, working copies of runs in an object store."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/soft-label-harness`, or `~/.cache/soft-label-harness` where that is unset or relative.

    The XDG Base Directory Specification has relative values ignored: a cache would move with the working directory.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "soft-label-harness"
