"""Folders for sockets, whose paths the system limits to 107 bytes; TMPDIR may be longer."""

import os
import tempfile
from pathlib import Path

from harness.common.errors import InputError

MAX_PATH_BYTES = 107
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


def is_socket_dir(folder: Path, name_bytes: int) -> bool:
    """Whether this process can make a socket whose path below `folder` has `name_bytes` bytes."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    fits = len(os.fsencode(folder)) + 1 + name_bytes <= MAX_PATH_BYTES
    return fits and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def make_socket_dir(name_bytes: int) -> Path:
    """Make a fresh folder for sockets, in TMPDIR if that is short enough; the caller removes it.

    Raises:
        InputError: no folder for temporary files can be used.
    """
    prefix = "harness-"
    for parent in (tempfile.gettempdir(), *SHORT_FOLDERS):
        if is_socket_dir(Path(parent), len(prefix) + 8 + 1 + name_bytes):  # `mkdtemp` adds 8 letters
            return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    raise InputError(
        f"TMPDIR: expected a folder that can be written, of at most {MAX_PATH_BYTES - name_bytes - 18} bytes, as its "
        f"path is part of sockets' names; got {tempfile.gettempdir()}; set TMPDIR to a short one"
    )
