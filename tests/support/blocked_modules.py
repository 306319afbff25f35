"""Python with some of the installed packages out of reach, and which packages others need."""

import contextlib
import re
from collections.abc import Iterable
from importlib import metadata

BLOCK_MODULES = """\
import sys


class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in BLOCKED else self.finder.find_spec(name, path, target)


BLOCKED = set(sys.argv[1:])
sys.meta_path[:] = map(Without, sys.meta_path)
"""
"""Program that lets the top-level modules among its arguments be imported no more."""


def required(names: Iterable[str]) -> set[str]:
    """Distributions that those named need, themselves among them, without what extras would bring."""
    packages: set[str] = set()
    waiting = [name.lower() for name in names]
    while waiting:
        name = waiting.pop()
        if name in packages:
            continue
        packages.add(name)
        with contextlib.suppress(metadata.PackageNotFoundError):
            needs = [requirement for requirement in metadata.requires(name) or [] if "extra ==" not in requirement]
            waiting += [re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-") for requirement in needs]
    return packages


def module_owners() -> dict[str, set[str]]:
    """Top-level module → the distributions that it comes with, their names in lower case with hyphens."""
    return {
        module: {package.lower().replace("_", "-") for package in names}
        for module, names in metadata.packages_distributions().items()
    }


def modules_beside(names: Iterable[str]) -> list[str]:
    """Installed top-level modules that none of these distributions needs."""
    allowed = required(names)
    return [module for module, owners in module_owners().items() if not owners & allowed]
