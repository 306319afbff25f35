"""Base classes of the types of a space, and unions whose members are told apart by `type`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ModelWrapValidatorHandler, model_validator

from harness.space.errors.problems import KeyPath, quote, suggest_name
from harness.space.errors.validation import invalid, raise_all, validate_in_words

Value = bool | int | float | str
"""A value of a setting."""

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class FrozenModel(BaseModel):
    """Pydantic model that is frozen and strict, and refuses unknown keys and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _validate_in_words(cls, value: Any, validator: ModelWrapValidatorHandler[Self]) -> Any:
        return validate_in_words(cls.model_fields, validator, value)


def _require_type(schema: dict[str, Any]) -> None:
    schema["properties"]["type"].pop("default", None)
    schema["required"] = ["type", *schema.get("required", [])]


class TypedModel(FrozenModel):
    """Member of a union: a document has to say its `type`, a call in Python need not."""

    model_config = ConfigDict(json_schema_extra=_require_type)

    type: str


def member_by_type(union: Any, name_alone: bool = False) -> BeforeValidator:
    """Make the validator of a union of typed models, which validates a mapping as the model of its `type`.

    Args:
        name_alone: whether the name of a type may stand for a mapping that holds nothing else.
    """
    models = {model.model_fields["type"].default: model for model in get_args(union)}
    names = ", ".join(models)

    def validate(value: Any) -> Any:
        if isinstance(value, TypedModel):
            return value
        path: KeyPath = ("type",)
        if not isinstance(value, Mapping):
            if not name_alone:
                raise invalid("a mapping with a type", quote(value), "write {type: …, …}, or move the value to fixed")
            value, path = {"type": value}, ()
        kind = value.get("type")
        if kind is None:
            raise invalid("a type", "none", f"add type: {' | '.join(models)}")
        if not isinstance(kind, str) or kind not in models:
            raise_all([(path, invalid(f"one of {names}", quote(kind), suggest_name(kind, models)))])
        return models[kind].model_validate(value)

    return BeforeValidator(validate, json_schema_input_type=union | Literal[tuple(models)] if name_alone else union)
