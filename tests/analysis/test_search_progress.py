"""Progress of a search: the best of half its trials, the epochs that pruning saved."""

import numpy as np
import pytest

from analysis.figures import search_progress, style
from analysis.frames.sweep_frame import SweepFrame, interval


def test_the_best_so_far_never_falls_and_counts_complete_trials_alone(sweep: SweepFrame) -> None:
    progress = search_progress.best_so_far(sweep, "learned")
    assert list(progress["n"]) == list(range(1, 13))
    assert progress["value"].is_monotonic_increasing
    assert progress["value"].iloc[-1] == sweep.best("learned")["metrics.val_accuracy"].iloc[0]


def test_half_the_budget_finds_the_best_of_the_first_half(sweep: SweepFrame) -> None:
    half = search_progress.half_of_trials(sweep).set_index("arm")
    # learned-5 is the best of trials 0 to 5, learned-6 that of all
    best = {row["trial"]: row["metrics.val_accuracy"] for _, row in sweep.best("learned", 2).iterrows()}
    assert half.loc["learned", "best_of_half"] == best[5]
    assert half.loc["learned", "best"] == best[6]
    assert half.loc["learned", "best_at"] == 7


def test_pruning_saves_the_epochs_that_were_not_run(sweep: SweepFrame) -> None:
    spent = search_progress.epochs_spent(sweep).set_index("arm")
    # twelve trials of 12 epochs: four pruned after 4, one failed after 2
    assert spent.loc["learned", "epochs"] == 7 * 12 + 4 * 4 + 2
    assert spent.loc["learned", "pruned_epochs"] == 4 * 4
    assert spent.loc["learned", "failed_epochs"] == 2
    assert spent.loc["learned", "saved_epochs"] == 4 * 8
    assert spent.loc["one_hot", "saved_epochs"] == 0


def test_progress_has_a_line_for_each_arm_and_a_point_for_each_rise(sweep: SweepFrame) -> None:
    axes = style.figure(search_progress.plots(sweep)).axes[0]
    labels = [str(line.get_label()) for line in axes.lines]
    assert [label for label in labels if not label.startswith("_")][:3] == ["learned", "one_hot", "label_smoothing"]
    assert axes.get_ylabel().endswith("(%)")


def test_the_best_of_each_arm_has_the_interval_of_its_images(sweep: SweepFrame) -> None:
    lines = style.figure(search_progress.plots(sweep)).axes[0].lines
    spans = [tuple(np.asarray(line.get_ydata()) / 100) for line in lines if len(set(line.get_xdata())) == 1]
    for arm in ("learned", "one_hot", "label_smoothing"):
        best = sweep.best(arm).iloc[0]
        assert interval(best["metrics.val_accuracy"], int(best["params.val_size"])) in [
            pytest.approx(span) for span in spans if len(span) == 2
        ]


def test_epochs_are_drawn_by_what_became_of_them(sweep: SweepFrame) -> None:
    axes = style.figure(search_progress.plots(sweep)).axes[1]
    widths = {bars.get_label(): sum(bar.get_width() for bar in bars) for bars in axes.containers}
    spent = search_progress.epochs_spent(sweep)
    assert widths["pruned trials"] == spent["pruned_epochs"].sum() == 16
    assert widths["failed trials"] == 2
    assert widths["saved by pruning"] == 32
    assert widths["complete trials"] == spent["epochs"].sum() - 18
