"""Types of numbers that settings of a run and parameters of methods share."""

from typing import Annotated

from pydantic import Field

FractionBelowOne = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveNumber = Annotated[float, Field(gt=0, le=1e30)]  # float32, in which rates are multiplied, ends at 3e38
Count = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
