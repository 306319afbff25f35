"""Parameters: the values to search for one setting, and how to enumerate and draw them.

    float         [low, high], or low, low + step, … , high;  log: uniform in the logarithm
    int           low, low + step, … , high;                  log: uniform in the logarithm
    categorical   one of the choices, which have no order

Bounds are inclusive. A parameter with `when` is active only under the named values of other settings:
`when: {labels: [class]}`. `harness.tuning` turns parameters into Optuna's distributions.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic.json_schema import WithJsonSchema

from harness.space.base import Positive, TypedModel, Value, member_by_type
from harness.space.errors.problems import quote
from harness.space.errors.validation import invalid

STEP_TOLERANCE = 1e-8
"""Distance of `high` from a whole number of steps, in steps: decimal steps are not exact in binary."""

MAX_STEPS = 1_000_000
"""Steps between two bounds; a range of more needs none."""


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

WHEN = Field(default=None, description="active only if each named setting has this value, or one of these values")


class _Conditional(TypedModel):
    if TYPE_CHECKING:
        when: When | None = None  # declared by each type, as its last field

    def is_active(self, settings: Mapping[str, Value]) -> bool:
        """Whether the parameter is active under the values of the other settings, searched and fixed."""
        return all(is_one_of(settings[name], values) for name, values in (self.when or {}).items())

    def may_be_active(self, settings: Mapping[str, Value]) -> bool:
        """Whether the parameter can be active under the values of some of the other settings."""
        return all(is_one_of(settings[name], values) for name, values in (self.when or {}).items() if name in settings)


class _Range(_Conditional):
    """Numbers from `low` to `high`."""

    low: float = Field(description="smallest value, inclusive")
    high: float = Field(description="largest value, inclusive")
    log: bool = Field(default=False, description="search uniformly in the logarithm; low must be above 0")
    step: Positive | None = Field(default=None, description="only low, low + step, … up to high")
    when: When | None = WHEN

    @field_validator("high")
    @classmethod
    def _check_order(cls, high: float, info: ValidationInfo) -> float:
        low = info.data.get("low")
        if low is not None and low > high:
            raise invalid(f"at least low, which is {low}", quote(high), "swap low and high")
        return high

    @field_validator("log")
    @classmethod
    def _check_log(cls, log: bool, info: ValidationInfo) -> bool:
        low = info.data.get("low")
        if log and low is not None and low <= 0:
            raise invalid("low above 0 for log: true", f"low: {low}", "raise low, or drop log")
        return log

    @field_validator("step")
    @classmethod
    def _check_step(cls, step: float | None, info: ValidationInfo) -> float | None:
        low, high = info.data.get("low"), info.data.get("high")
        if step is None or step == cls.model_fields["step"].default:
            return step
        if info.data.get("log"):
            raise invalid("no step beside log: true", quote(step), "drop step or log")
        if low is None or high is None:
            return step
        steps = (high - low) / step
        if steps > MAX_STEPS:
            raise invalid(f"at most {MAX_STEPS:,} steps from low to high", quote(step), "widen step")
        if not _is_whole(steps):
            reached = low + math.floor(steps) * step
            remedy = f"write high: {reached:g}, or change step"
            raise invalid(f"steps from {low} that reach high, {high}", quote(step), remedy)
        return step

    @property
    def _n_steps(self) -> int | None:
        if self.step is None:
            return 0 if self.low == self.high else None
        return round((self.high - self.low) / self.step)

    @property
    def size(self) -> int | None:
        """Number of values; None if they cannot be counted."""
        steps = self._n_steps
        return None if steps is None else steps + 1

    @property
    def ends(self) -> tuple[Any, Any]:
        """Smallest and largest value."""
        return self.low, self.high

    def _value_at(self, position: int) -> Any:
        # The last value is `high` itself, not a sum of rounded steps.
        return self.high if position >= (self._n_steps or 0) else self.low + position * (self.step or 0)

    def grid(self) -> tuple[Any, ...]:
        """List every value in order. The parameter needs a `size`."""
        return tuple(self._value_at(position) for position in range(self.size or 0))

    def quantile(self, u: float) -> Any:
        """Inverse CDF at u in [0, 1)."""
        if self.size is not None:
            return self._value_at(int(u * self.size))
        value = self.low * (self.high / self.low) ** u if self.log else self.low + u * (self.high - self.low)
        return min(max(value, self.low), self.high)  # against rounding


class FloatParameter(_Range):
    """A real number between two bounds."""

    type: Literal["float"] = Field(default="float", description="a real number")

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        return self.step is None or _is_whole((value - self.low) / self.step)


class IntParameter(_Range):
    """A whole number between two bounds."""

    type: Literal["int"] = Field(default="int", description="a whole number")
    low: int = Field(description="smallest value, inclusive")
    high: int = Field(description="largest value, inclusive")
    step: Annotated[int, Field(ge=1)] = Field(default=1, description="only low, low + step, … up to high")

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        return value == int(value) and (int(value) - self.low) % self.step == 0

    @property
    def _n_steps(self) -> int:
        return (self.high - self.low) // self.step

    def quantile(self, u: float) -> int:
        """Inverse CDF at u in [0, 1)."""
        if not self.log:
            return int(super().quantile(u))
        # Each whole number covers half a unit on both sides.
        low, high = self.low - 0.5, self.high + 0.5
        value: float = low * (high / low) ** u
        return min(max(round(value), self.low), self.high)


class CategoricalParameter(_Conditional):
    """One of a few values, which have no order."""

    type: Literal["categorical"] = Field(default="categorical", description="one of a few values, without order")
    choices: Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1)] = Field(
        description="the values, each once"
    )
    when: When | None = WHEN

    @field_validator("choices")
    @classmethod
    def _check_distinct(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        for position, choice in enumerate(choices):
            if choice in choices[:position]:
                raise invalid("each choice once", f"{quote(choice)} twice", "remove one of the two")
        return choices

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        return is_one_of(value, self.choices)

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.choices)

    @property
    def ends(self) -> tuple[Value, Value]:
        """First and last choice."""
        return self.choices[0], self.choices[-1]

    def grid(self) -> tuple[Value, ...]:
        """List every value in the order of the choices."""
        return self.choices

    def quantile(self, u: float) -> Value:
        """Choice number ⌊u n⌋ of n, u in [0, 1)."""
        choice: Value = self.choices[int(u * len(self.choices))]
        return choice


AnyParameter = FloatParameter | IntParameter | CategoricalParameter

Parameter = Annotated[AnyParameter, member_by_type(AnyParameter)]


def is_one_of(value: Value, values: tuple[Value, ...]) -> bool:
    """Whether `value` is one of `values`. Unlike in Python, true is not 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)


def _is_whole(steps: float) -> bool:
    return abs(steps - round(steps)) <= STEP_TOLERANCE * max(1.0, abs(steps))
