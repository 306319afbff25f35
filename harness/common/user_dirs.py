"""Home, name and cache folder of the user, whom the system may not know, as in a container with `--user 12345`."""

import getpass
import os
import stat
import tempfile
from pathlib import Path

from harness.common.errors import InputError


def provide_user() -> None:
    """Set HOME and USER, where they are unknown, for this process and those that it starts.

    Ray, MLflow, Matplotlib and PyTorch ask for them, and end with a traceback otherwise.

    Raises:
        InputError: there is no home, and none can be made.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(temporary_home())
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user-{os.getuid()}"


def temporary_home() -> Path:
    """A folder of this user alone among the temporary ones; the same at each call."""
    folder = Path(tempfile.gettempdir()) / f"home-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.lstat()
        if info.st_uid == os.getuid() and stat.S_ISDIR(info.st_mode) and not info.st_mode & 0o077:
            return folder
        problem = "a folder that others own or can enter"
    except OSError as error:
        problem = error.strerror or str(error)
    raise InputError(f"HOME: expected the folder of this user, got none, and at {folder}: {problem}; set HOME")


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
