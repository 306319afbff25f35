"""Settings of a run, as a space fixes and searches them.

`Settings` and `Parameters` are mappings. Their keys are the fields of `RunConfig` and the parameters of methods: in an
arm those of its method, in a section that arms share those of any of the arms' methods. A fixed value, a bound or a
choice must be one that the setting allows. A new setting or method can be searched without a change here.
"""

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticUndefined

from harness.space.base import Value
from harness.space.errors.problems import KeyPath, quote, shorten, suggest_name
from harness.space.errors.validation import Errors, describe, invalid, raise_all
from harness.space.parameters import AnyParameter, CategoricalParameter, Parameter
from harness.training.config.method_lookup import parameters_type
from harness.training.config.methods import METHODS, LabelSmoothingParameters, LearnedParameters
from harness.training.config.run_config import RunConfig, parameter_of_others, setting_fields

METHOD = "method"
"""The one setting that is a key of the arm itself."""

Methods = tuple[str, ...]

PARAMETER_TYPES: dict[Any, tuple[str, tuple[str, ...]]] = {
    float: ("a real number", ("float", "categorical")),
    int: ("a whole number", ("int", "categorical")),
}
"""For each type of field: its name, and the types of parameter that may search it; others are categorical."""

_BEFORE_TRAIN_ON_META = LearnedParameters.model_fields.keys() - LabelSmoothingParameters.model_fields.keys()


@lru_cache(maxsize=128)
def fields_of(methods: Methods) -> Mapping[str, FieldInfo]:
    """The settings of a run of any of the methods but `method`, in the order in which an arm samples its parameters.

    A sampler's draws depend on that order, so it stays as it is: most parameters of a method follow `train_on_meta`.
    """
    all_fields = setting_fields(methods)
    own = [name for name in all_fields if name not in RunConfig.model_fields]
    order: list[str] = []
    for name in RunConfig.model_fields:
        if name == "train_on_meta":
            order += [name for name in own if name in _BEFORE_TRAIN_ON_META]
        order.append(name)
        if name == "train_on_meta":
            order += [name for name in own if name not in _BEFORE_TRAIN_ON_META]
    return {name: all_fields[name] for name in order if name != METHOD}


COMMON_FIELDS = fields_of(())
"""The settings that every run has."""


def methods_of(document: Mapping[str, Any]) -> Methods:
    """The methods of a document that is not validated yet; all shipped ones too if an arm has none that is valid."""
    methods: dict[str, None] = {}
    for section in ("arms", "baselines"):
        entries = document.get(section)
        for entry in entries.values() if isinstance(entries, Mapping) else ():
            method = str(entry.get(METHOD)) if isinstance(entry, Mapping) else ""
            methods |= dict.fromkeys([method] if _is_method(method) else METHODS)
    return tuple(methods or METHODS)


def _is_method(name: str) -> bool:
    try:
        return bool(parameters_type(name))
    except PydanticCustomError:
        return False


def value_adapter(name: str, methods: Methods) -> TypeAdapter[Any]:
    """Validator of the values of a setting."""
    models: list[type[BaseModel]] = [RunConfig, *map(parameters_type, reversed(methods))]
    return _field_adapter(next(model for model in models if name in model.model_fields), name)


@lru_cache(maxsize=1024)
def _field_adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Validator of a field's type and constraints, without its default: a space tells "fixed" from "not mentioned"."""
    field = copy.copy(model.model_fields[name])
    field.default = PydanticUndefined
    return _adapter(Annotated[field.annotation, field])


@lru_cache(maxsize=1024)
def parameter_adapter(name: str, methods: Methods) -> TypeAdapter[Any]:
    """Validator of a parameter that searches the setting `name`."""
    description = Field(description=fields_of(methods)[name].description)
    return _adapter(Annotated[Parameter, description, AfterValidator(_parameter_validator(name, methods))])


def _adapter(value_type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(value_type, config=ConfigDict(strict=True, allow_inf_nan=False))


def _value_errors(adapter: TypeAdapter[Any], values: Mapping[KeyPath, Value]) -> Errors:
    """Errors of the values, by path, that a setting does not allow."""
    for path, value in values.items():
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            yield path, invalid(*describe(error.errors()[0]))


def _parameter_validator(name: str, methods: Methods) -> Callable[[AnyParameter], AnyParameter]:
    """Make the check that a parameter fits the setting `name`."""
    fields, adapter = fields_of(methods), value_adapter(name, methods)
    kind, types = PARAMETER_TYPES.get(fields[name].annotation, ("one of a few values", ("categorical",)))
    conditions = (METHOD, *fields)

    def errors(parameter: AnyParameter) -> Errors:
        if parameter.type not in types:
            expected = f"type {' or '.join(types)}, as {name} is {kind}"
            yield ("type",), invalid(expected, parameter.type, f"write {types[0]}")
        elif isinstance(parameter, CategoricalParameter):
            yield from _value_errors(adapter, {("choices", at): choice for at, choice in enumerate(parameter.choices)})
        else:
            yield from _value_errors(adapter, {("low",): parameter.low, ("high",): parameter.high})
        for other, values in (parameter.when or {}).items():
            path = ("when", other)
            if other == name or other not in conditions:
                remedy = suggest_name(other, [setting for setting in conditions if setting != name])
                yield path, invalid("another setting", shorten(other), remedy)
            else:
                condition = value_adapter(other, methods)
                yield from ((path, error) for value in values for _, error in _value_errors(condition, {path: value}))

    def check(parameter: AnyParameter) -> AnyParameter:
        raise_all(errors(parameter))
        if not isinstance(parameter, CategoricalParameter):
            return parameter
        # In the type of the field: the choices [1, 0.1] are two floats.
        converted = tuple(map(adapter.validate_python, parameter.choices))
        return parameter.model_copy(update={"choices": converted})

    return check


def _unknown_key(key: Any, methods: Methods) -> PydanticCustomError:
    if key == METHOD:
        return invalid("a setting", "method, which is an arm's own", "write it beside the arm's fixed and parameters")
    return parameter_of_others(key, " or ".join(methods)) or invalid(
        "a known key", f"the unknown key {shorten(str(key))}", suggest_name(key, fields_of(methods))
    )


def _mapping_validator(adapter: Callable[[str, Methods], TypeAdapter[Any]]) -> Callable[[Any, ValidationInfo], Any]:
    """Make the validator of a mapping by setting, whose values `adapter` validates."""

    def validate(value: Any, info: ValidationInfo) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise invalid("a mapping", quote(value), "write `key: value` lines, or remove it")
        method = info.data.get(METHOD)
        methods = (method,) if method else (info.context or {}).get("methods", tuple(METHODS))
        fields = fields_of(methods)
        valid: dict[str, Any] = {}
        errors: list[tuple[KeyPath, PydanticCustomError]] = []
        for key, setting in value.items():
            if key not in fields:
                errors.append(((key if isinstance(key, str) else str(key),), _unknown_key(key, methods)))
                continue
            try:
                valid[key] = adapter(key, methods).validate_python(setting)
            except ValidationError as error:
                errors += [((key, *below["loc"]), invalid(*describe(below))) for below in error.errors()]
        raise_all(errors)
        return {name: valid[name] for name in fields if name in valid}

    return validate


if TYPE_CHECKING:
    Settings = Mapping[str, Value]
    Parameters = Mapping[str, AnyParameter]
else:
    # `harness.space.reference` says what the keys are.
    _SCHEMA = WithJsonSchema({"type": "object"})
    Settings = Annotated[dict[str, Value], PlainValidator(_mapping_validator(value_adapter)), _SCHEMA]
    Parameters = Annotated[dict[str, AnyParameter], PlainValidator(_mapping_validator(parameter_adapter)), _SCHEMA]
