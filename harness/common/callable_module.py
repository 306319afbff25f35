"""Modules that can be called, so that `harness.search` is a package of commands and a function alike.

Python binds a submodule to its name in the parent package as soon as anything below it is imported, whatever
`harness/__init__.py` defines under that name. A module that can itself be called means the same in every order of
imports. Type checkers see the function, which `harness/__init__.py` imports under `TYPE_CHECKING`.
"""

import inspect
import sys
from types import ModuleType
from typing import Any


def make_callable(module_name: str, function_name: str) -> None:
    """Let an imported module be called as its own function `function_name`."""
    module = sys.modules[module_name]

    class CallableModule(ModuleType):
        """A module that passes calls on to one of its functions; `help` and notebooks show its signature."""

        @property
        def __signature__(self) -> inspect.Signature:
            return inspect.signature(getattr(self, function_name))

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return getattr(self, function_name)(*args, **kwargs)

    module.__class__ = CallableModule
