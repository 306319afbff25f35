"""The response surface finds what it was made from, and says what its trials leave open."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.figures import response_surface, style
from analysis.figures.response_surface import MIN_TRIALS, fit_arm
from analysis.frames.sweep_frame import SweepFrame, Z

IMAGES = 10_000


def truth(rate: np.ndarray, interval: np.ndarray) -> np.ndarray:
    """Best at a rate of 0.1 and an interval of 1; in fractions."""
    accuracy: np.ndarray = 0.95 - 0.08 * np.log10(rate / 0.1) ** 2 - 0.06 * np.log10(interval)
    return accuracy


def made(sweep: SweepFrame, count: int, noise: float, slope: float = 1.0) -> SweepFrame:
    """So many complete trials over both parameters and lr, which decides nothing."""
    draw = np.random.default_rng(4)
    trials = pd.concat([sweep.best("learned")] * count, ignore_index=True)
    rate, interval = 10 ** draw.uniform(-2, 0, count), draw.integers(1, 9, count)
    value = 0.9 + slope * (truth(rate, interval) - 0.9) + draw.normal(0, noise, count)
    settings = {"label_lr": rate, "meta_interval": interval, "lr": 10 ** draw.uniform(-2, -1, count)}
    columns = {f"params.{name}": values for name, values in settings.items()}
    trials = trials.assign(trial=range(count), **columns, **{"metrics.val_accuracy": value, "params.val_size": IMAGES})
    return replace(sweep, trials=trials)


def test_the_surface_is_the_one_that_the_trials_came_from(sweep: SweepFrame) -> None:
    surface = fit_arm(made(sweep, 60, 0.002), "learned")
    assert surface is not None
    expected = 100 * truth(*np.meshgrid(surface.rates, surface.intervals))
    off = np.abs(surface.mean - expected)
    assert (off <= surface.half_width).mean() > 0.8, "95 % intervals, of places that depend on each other"
    assert off.mean() < 0.3
    row, column = np.unravel_index(surface.mean.argmax(), surface.mean.shape)
    assert surface.rates[column] == pytest.approx(0.1, rel=0.4)
    assert surface.intervals[row] < 1.5
    assert surface.near_best[row, column]
    assert not surface.near_best[expected < expected.max() - 3].any()
    assert list(surface.fixed) == ["lr"]


def test_the_scatter_of_a_trial_is_what_it_was_made_with(sweep: SweepFrame) -> None:
    surface = fit_arm(made(sweep, 80, 0.01), "learned")
    assert surface is not None
    chance = np.sqrt(0.9 * 0.1 / IMAGES)
    assert surface.noise == pytest.approx(100 * np.hypot(0.01, chance), rel=0.25)


def test_without_an_effect_no_point_differs_from_the_best(sweep: SweepFrame) -> None:
    surface = fit_arm(made(sweep, 30, 0.01, slope=0.0), "learned")
    assert surface is not None
    assert surface.near_best.mean() > 0.9
    assert "may be as good" in response_surface.description({"learned": surface})


def test_uncertainty_is_least_where_the_trials_are(sweep: SweepFrame) -> None:
    changed = made(sweep, 60, 0.002)
    rate = changed.trials["params.label_lr"]
    surface = fit_arm(replace(changed, trials=changed.trials[(rate < 0.1) | (rate > 0.8)]), "learned")
    assert surface is not None
    gap = (surface.rates > 0.2) & (surface.rates < 0.5)
    near = surface.rates < 0.08
    assert surface.half_width[:, gap].mean() > 1.5 * surface.half_width[:, near].mean()
    assert (surface.half_width < 100 * Z * changed.trials["metrics.val_accuracy"].std()).mean() > 0.5


def test_a_diverged_trial_does_not_shape_the_surface(sweep: SweepFrame) -> None:
    changed = made(sweep, 40, 0.002)
    values = changed.trials["metrics.val_accuracy"].where(changed.trials["trial"] != 7, 0.1)
    surface = fit_arm(replace(changed, trials=changed.trials.assign(**{"metrics.val_accuracy": values})), "learned")
    assert surface is not None
    assert surface.mean.min() > 60


def test_there_is_no_surface_without_trials_or_without_both_knobs(sweep: SweepFrame) -> None:
    assert fit_arm(made(sweep, MIN_TRIALS - 1, 0.01), "learned") is None
    changed = made(sweep, 20, 0.01)
    fixed = replace(changed, trials=changed.trials.assign(**{"params.meta_interval": 3}))
    assert fit_arm(fixed, "learned") is None
    assert response_surface.description(response_surface.fit(fixed)).startswith("no response surface")
    assert response_surface.plots({}) == {"": [response_surface.NO_SURFACE]}


def test_axes_are_named_and_the_trials_drawn(sweep: SweepFrame) -> None:
    surfaces = response_surface.fit(made(sweep, 20, 0.01))
    for axes in style.figure_by_arm(response_surface.plots(surfaces)).axes:
        if axes.get_label() == "<colorbar>":
            assert axes.get_ylabel().endswith(("(%)", "(points)"))
        else:
            assert axes.get_xlabel() == "label learning rate"
            assert axes.get_ylabel() == "meta-interval (model steps per label update)"
            assert len(axes.collections[-1].get_offsets()) == 20
