"""Parameters: the values to search for one setting, and how to enumerate and draw them.

    float         [low, high], or low, low + step, … , high;  log: uniform in the logarithm
    int           low, low + step, … , high;                  log: uniform in the logarithm
    categorical   one of the choices, which have no order

Bounds are inclusive. A parameter with `when` is active only under the named values of other settings:
`when: {labels: [class]}`. `harness.tuning` turns parameters into Optuna's distributions.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic.json_schema import WithJsonSchema

from harness.space.base import Count, Positive, TypedModel, Value, member_by_type
from harness.space.errors.problems import quote
from harness.space.errors.validation import Errors, invalid, raise_all

STEP_TOLERANCE = 1e-8  # of a number of steps, from a whole one: decimal steps are not exact in binary
MAX_STEPS = 1_000_000  # between two bounds; a range of more needs none


def _check_scalar(value: Any) -> Value:
    if isinstance(value, bool | int | float | str) and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    raise invalid("a string, a finite number, true or false", quote(value), "write one value")


_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"]}

# A union of types would put their names into the path of an error.
Scalar = Annotated[Any, AfterValidator(_check_scalar), WithJsonSchema(_SCALAR_SCHEMA)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, bool | int | float | str) else value


When = Annotated[
    dict[
        str,
        Annotated[
            tuple[Scalar, ...],
            BeforeValidator(_as_list),
            Field(min_length=1, strict=False),
            WithJsonSchema({"anyOf": [_SCALAR_SCHEMA, {"type": "array", "items": _SCALAR_SCHEMA, "minItems": 1}]}),
        ],
    ],
    Field(min_length=1),
]


class _Parameter(TypedModel):
    when: When | None = Field(
        default=None, description="active only if each named setting has this value, or one of these values"
    )

    @property
    def size(self) -> int | None:
        """Number of values; None if they cannot be counted."""
        raise NotImplementedError

    def _value_at(self, position: int) -> Any:
        raise NotImplementedError

    def grid(self) -> tuple[Any, ...]:
        """List every value in order; empty if they cannot be counted."""
        return tuple(map(self._value_at, range(self.size or 0)))

    def quantile(self, u: float) -> Any:
        """Inverse CDF at u in [0, 1): of n values, number ⌊u n⌋."""
        return self._value_at(int(u * (self.size or 0)))

    def is_active(self, settings: Mapping[str, Value]) -> bool:
        """Whether the parameter can be active under the values of all other settings, or of some."""
        return all(is_one_of(settings[name], values) for name, values in (self.when or {}).items() if name in settings)


class _Range(_Parameter):
    """Numbers from `low` to `high`."""

    low: float = Field(description="smallest value, inclusive")
    high: float = Field(description="largest value, inclusive")
    log: bool = Field(default=False, description="search uniformly in the logarithm; low must be above 0")
    step: Positive | None = Field(default=None, description="only low, low + step, … up to high")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        raise_all(self._range_errors())
        return self

    def _range_errors(self) -> Errors:
        low, high = self.low, self.high
        step = None if self.step == type(self).model_fields["step"].default else self.step
        if low > high:
            yield ("high",), invalid(f"at least low, which is {low}", quote(high), "swap low and high")
        elif self.log:
            if low <= 0:
                yield ("log",), invalid("low above 0 for log: true", f"low: {low}", "raise low, or drop log")
            if step is not None:
                yield ("step",), invalid("no step beside log: true", quote(step), "drop step or log")
        elif step is not None:
            steps = (high - low) / step
            if steps > MAX_STEPS:
                yield ("step",), invalid(f"at most {MAX_STEPS:,} steps from low to high", quote(step), "widen step")
            elif not _is_whole(steps):
                remedy = f"write high: {low + math.floor(steps) * step:g}, or change step"
                yield ("step",), invalid(f"steps from {low} that reach high, {high}", quote(step), remedy)

    @property
    def size(self) -> int | None:
        """Number of values; None if they cannot be counted."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return round((self.high - self.low) / self.step) + 1

    @property
    def ends(self) -> tuple[Any, Any]:
        """Smallest and largest value."""
        return self.low, self.high

    def _value_at(self, position: int) -> Any:
        # The last value is `high` itself, not a sum of rounded steps.
        return self.high if position + 1 >= (self.size or 1) else self.low + position * (self.step or 0)

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        return self.step is None or _is_whole((value - self.low) / self.step)


class FloatParameter(_Range):
    """A real number between two bounds."""

    type: Literal["float"] = "float"

    def quantile(self, u: float) -> float:
        """Inverse CDF at u in [0, 1)."""
        if self.size is not None:
            return float(super().quantile(u))
        value: float = self.low * (self.high / self.low) ** u if self.log else self.low + u * (self.high - self.low)
        return min(max(value, self.low), self.high)  # against rounding


class IntParameter(_Range):
    """A whole number between two bounds."""

    type: Literal["int"] = "int"
    low: int = Field(description="smallest value, inclusive")
    high: int = Field(description="largest value, inclusive")
    step: Count = Field(default=1, description="only low, low + step, … up to high")

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        return super().contains(value) and value == int(value)

    def quantile(self, u: float) -> int:
        """Inverse CDF at u in [0, 1)."""
        if not self.log:
            return int(super().quantile(u))
        # Each whole number covers half a unit on both sides.
        low, high = self.low - 0.5, self.high + 0.5
        value: float = low * (high / low) ** u
        return min(max(round(value), self.low), self.high)


class CategoricalParameter(_Parameter):
    """One of a few values, which have no order."""

    type: Literal["categorical"] = "categorical"
    choices: Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1)] = Field(
        description="the values, each once"
    )

    @field_validator("choices")
    @classmethod
    def _check_distinct(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        for position, choice in enumerate(choices):
            if choice in choices[:position]:
                raise invalid("each choice once", f"{quote(choice)} twice", "remove one of the two")
        return choices

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.choices)

    @property
    def ends(self) -> tuple[Value, Value]:
        """First and last choice."""
        return self.choices[0], self.choices[-1]

    def _value_at(self, position: int) -> Value:
        choice: Value = self.choices[position]
        return choice

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        return is_one_of(value, self.choices)


AnyParameter = FloatParameter | IntParameter | CategoricalParameter

Parameter = Annotated[AnyParameter, member_by_type(AnyParameter)]


def is_one_of(value: Value, values: tuple[Value, ...]) -> bool:
    """Whether `value` is one of `values`. Unlike in Python, true is not 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)


def _is_whole(steps: float) -> bool:
    return abs(steps - round(steps)) <= STEP_TOLERANCE * max(1.0, abs(steps))
