"""A sweep is found by its name on the server that is named, and each arm is summarised."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binomtest

from analysis.figures import response
from analysis.frames import sweep_frame
from analysis.frames.sweep_frame import CURVES, VALUE, SweepFrame, interval, load, summary
from analysis.report import sections
from harness.common import formatting
from harness.tracking.spool.events import SEEDS_TAG
from harness.tracking.tracking_uri import TrackingError
from tests.analysis.sweeps import record_and_send, search_events


def test_a_server_gives_the_same_frame_as_the_folder(tracked: SweepFrame, sweep: SweepFrame) -> None:
    pd.testing.assert_frame_equal(summary(tracked), summary(sweep))
    for metric in CURVES:
        assert tracked.curve(6, metric).to_numpy() == pytest.approx(sweep.curve(6, metric).to_numpy())


def test_arms_are_distinguished_by_their_method(sweep: SweepFrame) -> None:
    assert sweep.learned == ["learned"]
    assert sweep.baselines == ["one_hot", "label_smoothing"]


def test_the_best_trial_is_the_best_of_those_that_ran_to_their_end(sweep: SweepFrame) -> None:
    # label_lr = 10 ** (number / 4 - 2) is nearest to 0.3 at number 6; number 5 is meta_interval 1, number 6 is 2
    assert list(sweep.best("learned", 3)["trial"]) == [6, 5, 8]
    assert set(sweep.best("learned", 99)["state"]) == {"complete"}
    assert list(sweep.best("one_hot")["trial"]) == [12]


def test_intervals_count_the_images_of_every_seed(sweep: SweepFrame) -> None:
    one, four = (
        replace(sweep, sweep=replace(sweep.sweep, tags={SEEDS_TAG: seeds}))  # type: ignore[type-var]
        for seeds in ("1", "4")
    )
    best = one.best("learned").iloc[0]
    assert (one.images(best), four.images(best)) == (best["params.val_size"], 4 * best["params.val_size"])
    assert list(response.points(four)["images"]) == [4 * images for images in response.points(one)["images"]]
    low, high = interval(float(best[VALUE]), four.images(best))
    assert formatting.format_interval((low, high)) in sections.arms(four)
    assert formatting.format_interval((low, high)) not in sections.arms(one)


def test_a_curve_has_a_point_an_epoch_and_a_metric_that_was_not_measured_has_none(sweep: SweepFrame) -> None:
    curve = sweep.curve(12, "val_accuracy")
    assert list(curve["step"]) == [1, 2, 3, 4]
    assert list(curve["value"]) == pytest.approx([0.94 * (1 - math.exp(-epoch / 2)) for epoch in (1, 2, 3, 4)])
    assert sweep.curve(12, "no_such_metric").empty


def test_what_varied_in_an_arm_is_what_was_searched_there(sweep: SweepFrame) -> None:
    assert sweep.varied("learned") == ["label_lr", "meta_interval"]
    assert sweep.varied("label_smoothing") == ["label_smoothing"]


def test_the_summary_has_an_arm_a_row_the_best_first(sweep: SweepFrame) -> None:
    table = summary(sweep)
    assert list(table["arm"]) == ["learned", "label_smoothing", "one_hot"]
    learned = table.iloc[0]
    assert (learned["trials"], learned["complete"], learned["pruned"], learned["failed"]) == (12, 7, 4, 1)
    assert learned["parameters"] == "label_lr = 0.316, meta_interval = 2"
    assert learned["label_accuracy"] > 0.9
    assert table.iloc[2]["label_accuracy"] == pytest.approx(0.6)


def test_the_headline_says_which_sweep_and_which_code(sweep: SweepFrame) -> None:
    line = sweep_frame.headline(sweep)
    assert line.startswith("label_lr: complete, 18 trials, begun 2023-11-14 22:13 UTC, commit 0123456789; run ")


def test_the_newest_sweep_is_read_where_none_is_named(runs: Path, store: str) -> None:
    record_and_send(store, runs, search_events(), name="mine")
    assert load({"TRACKING_URI": store}).sweep.name == "mine"
    assert load({"TRACKING_URI": store, "STUDY": ""}).sweep.name == "mine"
    assert load({"TRACKING_URI": store, "STUDY": "mine"}).sweep.name == "mine"


def test_sqlite_in_the_runs_folder_is_read_where_no_server_is_named(
    runs: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_and_send(store, runs, search_events())
    monkeypatch.chdir(runs.parent)
    assert len(load({}).trials) == 18


def test_an_unknown_study_is_refused_with_the_nearest_names(tracked: SweepFrame, store: str) -> None:
    with pytest.raises(TrackingError, match="got 'label_rl'; did you mean label_lr"):
        load({"TRACKING_URI": store, "STUDY": "label_rl"})


def test_a_sweep_without_trials_has_an_empty_summary(runs: Path, store: str) -> None:
    record_and_send(store, runs, [])
    sweep = load({"TRACKING_URI": store})
    assert summary(sweep).empty
    assert sweep.learned == sweep.baselines == []


@pytest.mark.parametrize(("right", "images"), [(0, 10), (7, 10), (240, 250), (250, 250)])
def test_the_interval_is_scipys(right: int, images: int) -> None:
    expected = binomtest(right, images).proportion_ci(0.95, "wilson")
    assert interval(right / images, images) == pytest.approx((expected.low, expected.high), abs=1e-6)
