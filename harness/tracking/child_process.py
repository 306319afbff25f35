"""Environment variables of a child process that runs a module of this package."""

import os
from pathlib import Path

PACKAGE_ROOT = Path(__file__).parent.parent.parent


def child_environment(**changes: str) -> dict[str, str]:
    """This process's environment with `changes`, in which this copy of the package is importable from any folder."""
    path = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **changes}
