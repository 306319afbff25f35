"""Bounds are inclusive, and steps reach them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.space import CategoricalParameter, FloatParameter, IntParameter


@given(low=st.integers(-50, 50), steps=st.integers(0, 40), step=st.integers(1, 7))
def test_an_int_grid_is_what_the_parameter_contains(low: int, steps: int, step: int) -> None:
    parameter = IntParameter(type="int", low=low, high=low + steps * step, step=step)
    inside = [value for value in range(low - 5, low + steps * step + 6) if parameter.contains(value)]
    assert list(parameter.grid()) == inside
    assert (inside[0], inside[-1], len(inside)) == (low, parameter.high, parameter.size)


@given(low=st.integers(-50, 50), steps=st.integers(1, 40), step=st.sampled_from([0.1, 0.3, 0.07, 2.5]))
def test_a_float_grid_has_both_bounds_and_even_steps(low: int, steps: int, step: float) -> None:
    parameter = FloatParameter(type="float", low=low / 10, high=low / 10 + steps * step, step=step)
    values = parameter.grid()
    assert (values[0], values[-1], len(values)) == (parameter.low, parameter.high, steps + 1)
    assert all(parameter.contains(value) for value in values)
    assert not parameter.contains(parameter.low + step / 2)


def test_a_float_range_contains_its_bounds_and_nothing_beyond() -> None:
    parameter = FloatParameter(type="float", low=0.01, high=10.0, log=True)
    assert parameter.contains(0.01)
    assert parameter.contains(10)
    assert not parameter.contains(10.000001)
    assert not parameter.contains(True)
    assert parameter.size is None


def test_true_is_not_the_choice_one() -> None:
    parameter = CategoricalParameter(type="categorical", choices=(1, "1"))
    assert parameter.contains(1)
    assert not parameter.contains(True)


@pytest.mark.parametrize(
    "bad",
    [
        {"low": 0.0, "high": 1e308, "step": 1e-300},
        {"low": -1e308, "high": 1e308, "step": 1.0},
        {"low": 0.0, "high": 1.0, "step": 0.0},
        {"low": 0.1, "high": 1.0, "log": True, "step": 0.1},
        {"low": 0.0, "high": 1.0, "log": True},
        {"low": float("nan"), "high": 1.0},
    ],
)
def test_steps_that_lead_nowhere_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        FloatParameter.model_validate({"type": "float", **bad})
