"""The settings of a run as a space may fix and search them.

Both types here are made from `RunConfig`: the names are its fields, and a fixed value, a bound or a choice has to be
one that the field itself allows. A setting that `RunConfig` gains tomorrow can be searched tomorrow.

| a field that holds | may be searched as |
| --- | --- |
| a real number | float, categorical |
| a whole number | int, categorical |
| anything else | categorical |
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticUndefined
from typing_extensions import TypedDict

from harness.space.errors.problems import Path, complaint, complaints, nearest, short
from harness.space.errors.wording import in_words
from harness.space.parameters import AnyParameter, CategoricalParameter, Parameter, Value
from harness.training.config.run_config import RunConfig

METHOD = "method"
"""The one setting that is an arm's own key: an arm is a method with settings."""

FIELDS = {name: field for name, field in RunConfig.model_fields.items() if name != METHOD}

KINDS: dict[Any, tuple[str, tuple[str, ...]]] = {
    float: ("a real number", ("float", "categorical")),
    int: ("a whole number", ("int", "categorical")),
}
"""What a field of this type is, and the types of parameter that may search it."""

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _without_default(field: FieldInfo) -> FieldInfo:
    """The field, but absent where it is not said: a space has to tell "fixed" from "left as it is"."""
    field = copy.copy(field)
    field.default = PydanticUndefined
    return field


def _field_type(name: str) -> Any:
    field = RunConfig.model_fields[name]
    return Annotated[field.annotation, _without_default(field)]


ADAPTERS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(_field_type(name), config=ConfigDict(strict=True, allow_inf_nan=False))
    for name in RunConfig.model_fields
}


def wrong(name: str, value: Value) -> PydanticCustomError | None:
    """What is wrong with `value` for the setting `name`, or None where the setting allows it."""
    try:
        ADAPTERS[name].validate_python(value)
    except ValidationError as error:
        return complaint(*in_words(error.errors()[0]))
    return None


def _searchable(name: str) -> Callable[[Any], Any]:
    kind, types = KINDS.get(FIELDS[name].annotation, ("one of a few values", ("categorical",)))

    def check(parameter: AnyParameter) -> AnyParameter:
        if parameter.type not in types:
            expected = f"type {' or '.join(types)}, as {name} is {kind}"
            complaints(name, [(("type",), complaint(expected, parameter.type, f"write {types[0]}"))])
        complaints(name, [*_values(name, parameter), *_conditions(name, parameter)])
        if isinstance(parameter, CategoricalParameter):
            # In the field's own type: [1, 0.1] are floats both.
            choices = tuple(ADAPTERS[name].validate_python(choice) for choice in parameter.choices)
            return parameter.model_copy(update={"choices": choices})
        return parameter

    return check


def _values(name: str, parameter: AnyParameter) -> Iterator[tuple[Path, PydanticCustomError]]:
    places: list[tuple[Path, Value]]
    if isinstance(parameter, CategoricalParameter):
        places = [(("choices", position), choice) for position, choice in enumerate(parameter.choices)]
    else:
        places = [(("low",), parameter.low), (("high",), parameter.high)]
    for place, value in places:
        error = wrong(name, value)
        if error is not None:
            yield place, error


def _conditions(name: str, parameter: AnyParameter) -> Iterator[tuple[Path, PydanticCustomError]]:
    for other, values in (parameter.when or {}).items():
        if other == name or other not in ADAPTERS:
            remedy = nearest(other, [field for field in ADAPTERS if field != name])
            yield ("when", other), complaint("another setting", short(other), remedy)
            continue
        for value in values:
            error = wrong(other, value)
            if error is not None:
                yield ("when", other), error


def _parameter_type(name: str) -> Any:
    return Annotated[Parameter, Field(description=FIELDS[name].description), AfterValidator(_searchable(name))]


if TYPE_CHECKING:
    Settings = Mapping[str, Value]
    Parameters = Mapping[str, AnyParameter]
else:

    def _typed_dict(title, types, doc):
        made = TypedDict(title, types, total=False)
        made.__pydantic_config__ = _STRICT
        made.__doc__ = doc
        return made

    Settings = _typed_dict(
        "Settings", {name: _field_type(name) for name in FIELDS}, "Settings of a run, each with one value."
    )
    Parameters = _typed_dict(
        "Parameters",
        {name: _parameter_type(name) for name in FIELDS},
        "Settings of a run, each with values to search.",
    )
