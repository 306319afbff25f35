"""From the name of a method to its parameters and its class. Shipped methods' parameters are found without torch.

A user's own method is a subclass of `harness.training.methods.Method`, named `module:Class`. Its nested class
`Parameters`, a `MethodParameters`, declares what it reads beside the settings of every run.
"""

import importlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from harness.common.formatting import format_list
from harness.training.config.methods import METHODS, MethodParameters
from harness.training.config.registry import is_user_object, load_object, value_error
from harness.training.config.user_code import load_user_object

SCALARS = (bool, int, float, str)


@lru_cache(maxsize=128)
def parameters_type(method: str) -> type[MethodParameters]:
    """Return the class that declares the parameters of a method; an error for pydantic if there is none."""
    if method in METHODS:
        return METHODS[method].parameters
    if not is_user_object(method):
        remedy = f"use one of {format_list(METHODS, 10)}"
        raise value_error("a method, or module:Class of your own", f"the string {method!r}", remedy)
    return _declared_parameters(method, method_class(method))


def method_class(method: str) -> Any:
    """Import the class of a method; an error for pydantic if a user's own cannot be."""
    if method in METHODS:
        return load_object(METHODS[method].implementation)
    loaded = load_user_object(method, "a method, or a subclass of harness.training.methods.Method")
    base = importlib.import_module("harness.training.methods").Method  # torch, which a subclass has imported already
    if not isinstance(loaded, type) or not issubclass(loaded, base):
        got = f"{method}, which is {_describe(loaded)}"
        raise value_error("a subclass of harness.training.methods.Method", got, "derive it from Method")
    return loaded


def parameter_fields(methods: Iterable[str]) -> dict[str, FieldInfo]:
    """Return the declarations of all parameters of the methods, by name."""
    return {name: field for method in methods for name, field in parameters_type(method).model_fields.items()}


def methods_with(parameter: object) -> list[str]:
    """Return the shipped methods that have a parameter of that name."""
    return [name for name, method in METHODS.items() if parameter in method.parameters.model_fields]


def _declared_parameters(method: str, loaded: Any) -> type[MethodParameters]:
    """Return `loaded.Parameters`, checked: scalar types, and a valid default for each."""
    declared = loaded.Parameters
    where = f"{method}.Parameters"
    if not isinstance(declared, type) or not issubclass(declared, MethodParameters):
        raise value_error(
            f"a subclass of harness.training.methods.MethodParameters as {where}",
            _describe(declared),
            "derive it from MethodParameters",
        )
    for name, field in declared.model_fields.items():
        if field.annotation not in SCALARS and get_origin(field.annotation) is not Literal:
            got = f"{getattr(field.annotation, '__name__', field.annotation)} for {name} of {where}"
            raise value_error("float, int, bool, str or Literal", got, "declare it with one of these")
    try:
        declared()
    except ValidationError as error:
        names = [str(details["loc"][0]) for details in error.errors()]
        got = f"{error.errors()[0]['msg'].lower()} for {format_list(names)}"
        raise value_error(f"a valid default for each parameter of {where}", got, "write NAME: TYPE = DEFAULT") from None
    return declared


def _describe(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
