"""Folder of files that can be deleted at any time: decoded data sets, working copies of runs in an object store."""

import os
from pathlib import Path

from harness.common.user import temporary_home


def cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/soft-label-harness`, or `~/.cache/soft-label-harness` where that is unset or relative.

    The XDG Base Directory Specification has relative values ignored: a cache would move with the working directory. A
    user without a home that can be written, as in a container that runs with `--user 12345`, has a temporary one.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else _home() / ".cache") / "soft-label-harness"


def _home() -> Path:
    home = Path(os.path.expanduser("~"))
    if not home.is_absolute():  # unknown
        return temporary_home()
    existing = next(path for path in (home / ".cache", home, *home.parents) if path.exists())
    return home if os.access(existing, os.W_OK | os.X_OK) else temporary_home()
