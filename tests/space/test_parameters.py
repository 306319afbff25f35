"""Bounds are inclusive, and steps reach them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.space import CategoricalParameter, FloatParameter, IntParameter


@given(low=st.integers(-50, 50), steps=st.integers(0, 40), step=st.integers(1, 7))
def test_an_int_grid_is_what_the_parameter_contains(low: int, steps: int, step: int) -> None:
    parameter = IntParameter(low=low, high=low + steps * step, step=step)
    inside = [value for value in range(low - 5, low + steps * step + 6) if parameter.contains(value)]
    assert list(parameter.grid()) == inside
    assert (inside[0], inside[-1], len(inside)) == (low, parameter.high, parameter.size)


@given(low=st.integers(-50, 50), steps=st.integers(1, 40), step=st.sampled_from([0.1, 0.3, 0.07, 2.5]))
def test_a_float_grid_has_both_bounds_and_even_steps(low: int, steps: int, step: float) -> None:
    parameter = FloatParameter(low=low / 10, high=low / 10 + steps * step, step=step)
    values = parameter.grid()
    assert (values[0], values[-1], len(values)) == (parameter.low, parameter.high, steps + 1)
    assert all(parameter.contains(value) for value in values)
    assert not parameter.contains(parameter.low + step / 2)


def test_a_float_range_contains_its_bounds_and_nothing_beyond() -> None:
    parameter = FloatParameter(low=0.01, high=10.0, log=True)
    assert parameter.contains(0.01)
    assert parameter.contains(10)
    assert not parameter.contains(10.000001)
    assert not parameter.contains(True)
    assert parameter.size is None
    choices = CategoricalParameter(choices=(1, "1"))
    assert choices.contains(1)
    assert not choices.contains(True)


SHARES = st.floats(0, 1, exclude_max=True)


@given(low=st.integers(1, 50), steps=st.integers(0, 40), step=st.sampled_from([0.1, 0.3, 1.0]), share=SHARES)
def test_every_share_is_at_a_value_that_the_parameter_contains(low: int, steps: int, step: float, share: float) -> None:
    high = low + steps * step
    every = [
        FloatParameter(low=low, high=high, step=step),
        FloatParameter(low=low, high=high),
        FloatParameter(low=low, high=high, log=True),
        IntParameter(low=low, high=low + 3 * steps, step=3),
        IntParameter(low=low, high=low + steps, log=True),
        CategoricalParameter(choices=tuple(range(low, low + steps + 1))),
    ]
    assert all(parameter.contains(parameter.quantile(share)) for parameter in every)


def test_even_shares_are_at_every_value_as_often() -> None:
    steps = FloatParameter(low=0.1, high=0.7, step=0.1)
    whole = IntParameter(low=-3, high=9, step=2)
    choice = CategoricalParameter(choices=("a", "b", "c", True, 7, 2.5, "g"))
    for parameter in (steps, whole, choice):
        values = [parameter.quantile((position + 0.5) / 21) for position in range(21)]
        assert values == [value for value in parameter.grid() for _ in range(3)]


def test_a_logarithm_is_even_in_the_logarithm() -> None:
    real = FloatParameter(low=0.01, high=100.0, log=True)
    assert [real.quantile(share) for share in (0.0, 0.25, 0.5, 0.75)] == pytest.approx([0.01, 0.1, 1.0, 10.0])
    whole = IntParameter(low=1, high=8, log=True)
    drawn = [whole.quantile(position / 1000) for position in range(1000)]
    # 1 stands for 0.5 to 1.5, 8 for 7.5 to 8.5, of 0.5 to 8.5.
    assert drawn.count(1) == pytest.approx(1000 * math.log(3) / math.log(17), abs=1)
    assert drawn.count(8) == pytest.approx(1000 * math.log(8.5 / 7.5) / math.log(17), abs=1)


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
