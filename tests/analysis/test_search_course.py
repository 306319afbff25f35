"""How a search went: what half of it would have found, what pruning saved, and which parameters decided."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.figures import search_progress
from analysis.figures.importance import FEWEST, TOGETHER, figure, importance, panel
from analysis.frames.sweep_frame import SweepFrame, interval


def test_the_best_so_far_never_falls_and_counts_complete_trials_alone(study: SweepFrame) -> None:
    found = search_progress.best_so_far(study, "learned")
    assert list(found["n"]) == list(range(1, 13))
    assert found["value"].is_monotonic_increasing
    assert found["value"].iloc[-1] == study.best("learned")["metrics.val_accuracy"].iloc[0]


def test_half_the_budget_finds_the_best_of_the_first_half(study: SweepFrame) -> None:
    halves = search_progress.halves(study).set_index("arm")
    # learned-5 is the best of trials 0 to 5, learned-6 that of all
    best = {row["trial"]: row["metrics.val_accuracy"] for _, row in study.best("learned", 2).iterrows()}
    assert halves.loc["learned", "half"] == best[5]
    assert halves.loc["learned", "all"] == best[6]
    assert halves.loc["learned", "at"] == 7


def test_pruning_saves_the_epochs_that_were_not_run(study: SweepFrame) -> None:
    effort = search_progress.effort(study).set_index("arm")
    # twelve trials of 12 epochs: four pruned after 4, one failed after 2
    assert effort.loc["learned", "epochs"] == 7 * 12 + 4 * 4 + 2
    assert effort.loc["learned", "pruned_epochs"] == 4 * 4
    assert effort.loc["learned", "failed_epochs"] == 2
    assert effort.loc["learned", "saved_epochs"] == 4 * 8
    assert effort.loc["one_hot", "saved_epochs"] == 0


def test_the_course_has_a_line_for_each_arm_and_a_point_for_each_rise(study: SweepFrame) -> None:
    for drawn in (search_progress.figure(study), search_progress.panels(study)[0]):
        axes = drawn.axes[0]
        labels = [str(line.get_label()) for line in axes.lines]
        assert [label for label in labels if not label.startswith("_")][:3] == ["learned", "one_hot", "label_smoothing"]
        assert axes.get_ylabel().endswith("(%)")


def test_the_best_of_each_arm_has_the_interval_of_its_images(study: SweepFrame) -> None:
    lines = search_progress.panels(study)[0].axes[0].lines
    spans = [tuple(np.asarray(line.get_ydata()) / 100) for line in lines if len(set(line.get_xdata())) == 1]
    for arm in ("learned", "one_hot", "label_smoothing"):
        best = study.best(arm).iloc[0]
        assert interval(best["metrics.val_accuracy"], int(best["params.val_size"])) in [
            pytest.approx(span) for span in spans if len(span) == 2
        ]


def test_epochs_are_drawn_by_what_became_of_them(study: SweepFrame) -> None:
    axes = search_progress.figure(study).axes[1]
    widths = {bars.get_label(): sum(bar.get_width() for bar in bars) for bars in axes.containers}
    effort = search_progress.effort(study)
    assert widths["pruned trials"] == effort["pruned_epochs"].sum() == 16
    assert widths["failed trials"] == 2
    assert widths["saved by pruning"] == 32
    assert widths["complete trials"] == effort["epochs"].sum() - 18


def surface(study: SweepFrame, count: int, weight: float) -> SweepFrame:
    """Accuracy is weight · x + (1 - weight) · y, with x = 1 + log10(label_lr) / 2 and y = meta_interval - 1.

    Both are uniform on [0, 1]. Label rates span decades, which are searched on a log scale; intervals do not.
    """
    draws = np.random.default_rng(3).uniform(size=(count, 2))
    first = study.trials.iloc[[0]]
    trials = pd.concat([first] * count, ignore_index=True)
    trials["trial"] = range(count)
    trials["params.label_lr"] = 10 ** (2 * draws[:, 0] - 2)
    trials["params.meta_interval"] = 1 + draws[:, 1]
    values = weight * draws[:, 0] + (1 - weight) * draws[:, 1]
    curves = pd.DataFrame({"trial": range(count), "metric": "val_accuracy", "step": 5, "value": values})
    return replace(study, trials=trials, curves=curves)


def shares(found: pd.DataFrame) -> Iterator[float]:
    yield from found.set_index("parameter")["share"][["label_lr", "meta_interval", TOGETHER]]


@pytest.mark.parametrize("weight", [0.5, 0.8, 1.0])
def test_importance_is_the_share_of_the_variance_of_an_additive_surface(weight: float, study: SweepFrame) -> None:
    found = importance(surface(study, 300, weight), "learned")
    assert found is not None
    whole = weight**2 + (1 - weight) ** 2
    rate, interval, together = shares(found.shares)
    # A forest of 300 noiseless points is within a few hundredths of the surface.
    assert rate == pytest.approx(weight**2 / whole, abs=0.08)
    assert interval == pytest.approx((1 - weight) ** 2 / whole, abs=0.08)
    assert together < 0.1
    assert found.explained > 0.9
    assert found.epoch == 5


def test_what_neither_does_alone_is_only_together(study: SweepFrame) -> None:
    made = surface(study, 400, 0.5)
    rate = np.log10(made.trials["params.label_lr"]) / 2 + 1
    product = rate * (made.trials["params.meta_interval"] - 1)
    found = importance(replace(made, curves=made.curves.assign(value=product.to_numpy())), "learned")
    assert found is not None
    # of x·y on the unit square: V = 1/9 - 1/16 = 7/144, V_x = V_y = 1/48
    assert list(shares(found.shares)) == pytest.approx([3 / 7, 3 / 7, 1 / 7], abs=0.08)


def test_pure_noise_is_known_by_what_the_forest_fails_to_explain(study: SweepFrame) -> None:
    made = surface(study, 40, 0.5)
    noise = np.random.default_rng(5).normal(size=40)
    found = importance(replace(made, curves=made.curves.assign(value=noise)), "learned")
    assert found is not None
    assert found.explained < 0.1


def test_too_few_trials_have_no_importance(study: SweepFrame) -> None:
    assert importance(surface(study, FEWEST - 1, 0.5), "learned") is None
    assert importance(study, "one_hot") is None


def test_a_single_parameter_decides_all(study: SweepFrame) -> None:
    made = surface(study, 60, 1.0)
    found = importance(replace(made, trials=made.trials.assign(**{"params.meta_interval": 2})), "learned")
    assert found is not None
    assert list(found.shares["share"]) == pytest.approx([1, 0], abs=0.02)


def test_trials_are_compared_at_the_last_epoch_that_all_of_them_reached(study: SweepFrame) -> None:
    found = importance(study, "learned")
    assert found is not None
    assert (found.epoch, found.trials) == (4, 11)  # pruned after 4; the failed one is out


def test_bars_are_named_and_span_their_trees(study: SweepFrame) -> None:
    found = importance(surface(study, 60, 0.8), "learned")
    assert found is not None
    axes = panel(found).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [TOGETHER, "meta_interval", "label_lr"]
    assert axes.get_xlabel().endswith("(%)")
    assert all(low <= high and not math.isnan(low) for low, high in found.shares[["low", "high"]].to_numpy())


def test_the_figure_says_why_where_nothing_can_be_said(study: SweepFrame) -> None:
    def words(made: SweepFrame) -> str:
        axes = figure(made).axes[0]
        return " ".join([axes.get_title(loc="left"), axes.get_title(), *(text.get_text() for text in axes.texts)])

    assert "40 trials at epoch 5" in words(surface(study, 40, 0.5))
    assert "too few trials" in words(surface(study, 5, 0.5))
    noise = surface(study, 40, 0.5)
    noise = replace(noise, curves=noise.curves.assign(value=np.random.default_rng(5).normal(size=40)))
    assert "no better than their mean" in words(noise)
