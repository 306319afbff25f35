"""What is searched: a set of values for one setting, and how to walk it.

    float         [low, high], or low, low + step, … , high;  log: uniform in the logarithm
    int           low, low + step, … , high;                  log: uniform in the logarithm
    categorical   one of the choices, without order

Both bounds are inclusive, always. A parameter with `when` exists only under the named values of other settings:
`when: {labels: [class]}`. Nothing here knows of a sampler; `harness.tuning` turns these into its distributions.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import WithJsonSchema

from harness.space.errors.problems import complaint, complaints, nearest, quote

Value = bool | int | float | str
"""A value of a setting."""

STEP_TOLERANCE = 1e-8
"""How far from a whole number of steps `high` may lie, in steps: decimal steps are not exact in binary."""

MOST_STEPS = 1_000_000
"""Steps between two bounds; more is a range without steps."""


def _scalar(value: Any) -> Value:
    if isinstance(value, bool | int | float | str) and not (isinstance(value, float) and not math.isfinite(value)):
        return value
    raise complaint("a string, a finite number, true or false", quote(value), "write one value")


Scalar = Annotated[
    Any, AfterValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})
]  # a union of types would put their names into the place of an error


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, bool | int | float | str) else value


When = Annotated[
    dict[
        str,
        Annotated[
            tuple[Scalar, ...],
            BeforeValidator(_listed),
            Field(min_length=1, strict=False),
            WithJsonSchema(
                {
                    "anyOf": [
                        {"type": ["string", "number", "boolean"]},
                        {"type": "array", "items": {"type": ["string", "number", "boolean"]}, "minItems": 1},
                    ]
                }
            ),
        ],
    ],
    Field(min_length=1),
]


class Frozen(BaseModel):
    """The manners of every type of a space: frozen, no unknown keys, no conversion, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Number = TypeVar("Number", int, float)


WHEN = Field(default=None, description="exists only where each named setting has this value, or one of these values")


class _Conditional(Frozen):
    if TYPE_CHECKING:
        when: When | None = None  # each type declares it itself, so that it comes last among the fields

    def active(self, chosen: Mapping[str, Value]) -> bool:
        """Whether the parameter exists beside the values `chosen` of the other settings, searched and fixed."""
        return all(same(chosen[name], values) for name, values in (self.when or {}).items())


class FloatParameter(_Conditional):
    """A real number between two bounds."""

    type: Literal["float"] = Field(description="a real number")
    low: float = Field(description="smallest value, inclusive")
    high: float = Field(description="largest value, inclusive")
    log: bool = Field(default=False, description="search the logarithm evenly; low must be above 0")
    step: Annotated[float, Field(gt=0)] | None = Field(default=None, description="only low, low + step, … up to high")
    when: When | None = WHEN

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: float, info: ValidationInfo) -> float:
        return _check_order(high, info)

    @field_validator("log")
    @classmethod
    def _log_above_zero(cls, log: bool, info: ValidationInfo) -> bool:
        return _check_log(log, info)

    @field_validator("step")
    @classmethod
    def _reaches_high(cls, step: float | None, info: ValidationInfo) -> float | None:
        return None if step is None else _check_step(step, info)

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        return self.step is None or _whole((value - self.low) / self.step)

    @property
    def size(self) -> int | None:
        """How many values there are; None where they cannot be counted."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return round((self.high - self.low) / self.step) + 1

    def grid(self) -> tuple[float, ...]:
        """Every value, in order, of a parameter whose `size` is known."""
        if self.step is None:
            return (self.low,)
        # The last one is `high` itself, not a sum of rounded steps.
        steps = round((self.high - self.low) / self.step)
        return (*(self.low + position * self.step for position in range(steps)), self.high)

    def at(self, share: float) -> float:
        """The value that this share of all, from 0 and below 1, lies below."""
        if self.step is not None:
            steps = round((self.high - self.low) / self.step)
            position = int(share * (steps + 1))
            return self.high if position == steps else self.low + position * self.step
        value = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return min(max(value, self.low), self.high)  # rounding may lead beyond


class IntParameter(_Conditional):
    """A whole number between two bounds."""

    type: Literal["int"] = Field(description="a whole number")
    low: int = Field(description="smallest value, inclusive")
    high: int = Field(description="largest value, inclusive")
    log: bool = Field(default=False, description="search the logarithm evenly; low must be above 0")
    step: Annotated[int, Field(ge=1)] = Field(default=1, description="only low, low + step, … up to high")
    when: When | None = WHEN

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: int, info: ValidationInfo) -> int:
        return _check_order(high, info)

    @field_validator("log")
    @classmethod
    def _log_above_zero(cls, log: bool, info: ValidationInfo) -> bool:
        return _check_log(log, info)

    @field_validator("step")
    @classmethod
    def _reaches_high(cls, step: int, info: ValidationInfo) -> int:
        return step if step == 1 else _check_step(step, info)

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        return value == int(value) and (int(value) - self.low) % self.step == 0

    @property
    def size(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // self.step + 1

    def grid(self) -> tuple[int, ...]:
        """Every value, in order."""
        return tuple(range(self.low, self.high + 1, self.step))

    def at(self, share: float) -> int:
        """The value that this share of all, from 0 and below 1, lies below."""
        if not self.log:
            return self.low + int(share * self.size) * self.step
        # Each whole number stands for half a unit on both sides.
        low, high = self.low - 0.5, self.high + 0.5
        value: float = low * (high / low) ** share
        return min(max(round(value), self.low), self.high)


class CategoricalParameter(_Conditional):
    """One of a few values without order."""

    type: Literal["categorical"] = Field(description="one of a few values, without order")
    choices: Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1)] = Field(
        description="the values, each once"
    )
    when: When | None = WHEN

    @field_validator("choices")
    @classmethod
    def _each_once(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        for position, choice in enumerate(choices):
            if choice in choices[:position]:
                raise complaint("each choice once", f"{quote(choice)} twice", "remove one of the two")
        return choices

    def contains(self, value: Value) -> bool:
        """Whether the search could suggest `value`."""
        return same(value, self.choices)

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.choices)

    def grid(self) -> tuple[Value, ...]:
        """Every value, in the order of the file."""
        return self.choices

    def at(self, share: float) -> Value:
        """The value that this share of all, from 0 and below 1, stands before."""
        choice: Value = self.choices[int(share * len(self.choices))]
        return choice


AnyParameter = FloatParameter | IntParameter | CategoricalParameter


def same(value: Value, among: tuple[Value, ...]) -> bool:
    """Whether `value` is one of `among`; true is not 1 here, though Python says so."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in among)


TYPES = ("float", "int", "categorical")


def _typed(value: Any) -> Any:
    """Let only what says its type go on to the union of the types."""
    if isinstance(value, Frozen):
        return value
    if not isinstance(value, Mapping):
        raise complaint("a mapping with a type", quote(value), "write {type: …, …}, or move the value to fixed")
    kind = value.get("type")
    if kind is None:
        raise complaint("a type", "none", f"add type: {' | '.join(TYPES)}")
    if kind not in TYPES:
        remedy = nearest(kind, TYPES) if isinstance(kind, str) else f"use one of {', '.join(TYPES)}"
        complaints("Parameter", [(("type",), complaint(f"one of {', '.join(TYPES)}", quote(kind), remedy))])
    return value


def _tag(value: Any) -> str:
    """`<float>`: the brackets set a tag apart from the keys in the place of an error."""
    return f"<{value['type'] if isinstance(value, Mapping) else value.type}>"


Parameter = Annotated[
    Annotated[
        Annotated[FloatParameter, Tag("<float>")]
        | Annotated[IntParameter, Tag("<int>")]
        | Annotated[CategoricalParameter, Tag("<categorical>")],
        Discriminator(_tag),
    ],
    BeforeValidator(_typed),
]


def _check_order(high: Number, info: ValidationInfo) -> Number:
    low = info.data.get("low")
    if low is not None and low > high:
        raise complaint(f"at least low, which is {low}", quote(high), "swap low and high")
    return high


def _check_log(log: bool, info: ValidationInfo) -> bool:
    low = info.data.get("low")
    if log and low is not None and low <= 0:
        raise complaint("low above 0 for log: true", f"low: {low}", "raise low, or drop log")
    return log


def _check_step(step: Number, info: ValidationInfo) -> Number:
    if info.data.get("log"):
        raise complaint("no step beside log: true", quote(step), "drop step or log")
    low, high = info.data.get("low"), info.data.get("high")
    if low is None or high is None:
        return step
    steps = (high - low) / step
    if steps > MOST_STEPS:
        raise complaint(f"at most {MOST_STEPS:,} steps from low to high", quote(step), "widen step")
    if not _whole(steps):
        reached = low + math.floor(steps) * step
        raise complaint(
            f"steps from {low} that reach high, {high}",
            quote(step),
            f"write high: {reached:g}, or change step",
        )
    return step


def _whole(steps: float) -> bool:
    return abs(steps - round(steps)) <= STEP_TOLERANCE * max(1.0, abs(steps))
