"""Modules that can be called, so that `harness.search` is a package of commands and a function alike.

Python binds a submodule to its name in the parent package once it is imported. `harness.search` is therefore the
package `harness/search/` as soon as anything below it was imported, whatever `harness/__init__.py` defines under that
name. Making the module itself callable gives `harness.search(space)` one meaning in every order of imports, and leaves
`harness.search.run` and `from harness.search import SearchResult` as they are. Type checkers see the function, which
`harness/__init__.py` imports under `TYPE_CHECKING`.
"""

import inspect
import sys
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that passes calls on to one of its functions."""

    __function_name__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__function_name__)(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """What `help` and notebooks show of the call."""
        return inspect.signature(getattr(self, self.__function_name__))


def make_callable(module_name: str, function_name: str) -> None:
    """Let an imported module be called as its own function `function_name`."""
    module = sys.modules[module_name]
    module.__class__ = CallableModule
    module.__dict__["__function_name__"] = function_name
