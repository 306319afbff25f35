"""Settings of a run, as a space fixes and searches them.

`Settings` and `Parameters` are made from `RunConfig`: their keys are its fields, and a fixed value, a bound or a choice
must be one that the field allows. A new field of `RunConfig` can be searched without a change here.
"""

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic_core import PydanticUndefined
from typing_extensions import TypedDict

from harness.space.base import Value
from harness.space.errors.problems import KeyPath, shorten, suggest_name
from harness.space.errors.validation import Errors, describe, invalid, raise_all, validate_in_words
from harness.space.parameters import AnyParameter, CategoricalParameter, Parameter
from harness.training.config.run_config import RunConfig

METHOD = "method"
"""The one setting that is a key of the arm itself."""

FIELDS = {name: field for name, field in RunConfig.model_fields.items() if name != METHOD}

PARAMETER_TYPES: dict[Any, tuple[str, tuple[str, ...]]] = {
    float: ("a real number", ("float", "categorical")),
    int: ("a whole number", ("int", "categorical")),
}
"""For each type of field: its name, and the types of parameter that may search it; others are categorical."""


def _field_type(name: str) -> Any:
    """Type and constraints of a field, without its default: a space tells "fixed" from "not mentioned"."""
    field = copy.copy(RunConfig.model_fields[name])
    field.default = PydanticUndefined
    return Annotated[field.annotation, field]


ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(_field_type(name), config=ConfigDict(strict=True, allow_inf_nan=False))
    for name in RunConfig.model_fields
}


def _value_errors(name: str, values: Mapping[KeyPath, Value]) -> Errors:
    """Errors of the values, by path, that the setting `name` does not allow."""
    for path, value in values.items():
        try:
            ADAPTERS[name].validate_python(value)
        except ValidationError as error:
            yield path, invalid(*describe(error.errors()[0]))


def _parameter_validator(name: str) -> Callable[[AnyParameter], AnyParameter]:
    """Make the check that a parameter fits the setting `name`."""
    kind, types = PARAMETER_TYPES.get(FIELDS[name].annotation, ("one of a few values", ("categorical",)))

    def errors(parameter: AnyParameter) -> Errors:
        if parameter.type not in types:
            expected = f"type {' or '.join(types)}, as {name} is {kind}"
            yield ("type",), invalid(expected, parameter.type, f"write {types[0]}")
        elif isinstance(parameter, CategoricalParameter):
            yield from _value_errors(name, {("choices", at): each for at, each in enumerate(parameter.choices)})
        else:
            yield from _value_errors(name, {("low",): parameter.low, ("high",): parameter.high})
        for other, values in (parameter.when or {}).items():
            path = ("when", other)
            if other == name or other not in ADAPTERS:
                remedy = suggest_name(other, [field for field in ADAPTERS if field != name])
                yield path, invalid("another setting", shorten(other), remedy)
            else:
                yield from ((path, error) for value in values for _, error in _value_errors(other, {path: value}))

    def check(parameter: AnyParameter) -> AnyParameter:
        raise_all(errors(parameter))
        if not isinstance(parameter, CategoricalParameter):
            return parameter
        # In the type of the field: the choices [1, 0.1] are two floats.
        converted = tuple(map(ADAPTERS[name].validate_python, parameter.choices))
        return parameter.model_copy(update={"choices": converted})

    return check


def _parameter_type(name: str) -> Any:
    return Annotated[Parameter, Field(description=FIELDS[name].description), AfterValidator(_parameter_validator(name))]


if TYPE_CHECKING:
    Settings = Mapping[str, Value]
    Parameters = Mapping[str, AnyParameter]
else:

    def _typed_dict(title, value_type, doc):
        made = TypedDict(title, {name: value_type(name) for name in FIELDS}, total=False)
        made.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
        made.__doc__ = doc

        def validate(value, validator):
            return validate_in_words(FIELDS, validator, value)

        return Annotated[made, WrapValidator(validate)]

    Settings = _typed_dict("Settings", _field_type, "Settings of a run with one value each.")
    Parameters = _typed_dict("Parameters", _parameter_type, "Settings of a run with values to search.")
