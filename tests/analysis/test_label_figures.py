"""Figures of learned labels: when wrong ones were corrected, how well they are detected, which moved most."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve

from analysis.figures import style
from analysis.figures.labels import image_gallery, label_outcomes, noise_detection
from analysis.frames import label_snapshots
from analysis.frames.label_snapshots import Labels
from analysis.frames.pictures import as_drawn
from analysis.frames.sweep_frame import SweepFrame, load
from tests.analysis.sweeps import (
    EPOCHS,
    IMAGES,
    WRONG,
    confirmation_events,
    learned_files,
    record,
    record_and_send,
    search_events,
    with_labels,
)


@pytest.fixture(scope="module")
def labelled_sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepFrame:
    """A sweep whose learned trials left their labels, from its own folder."""
    folder = tmp_path_factory.mktemp("labelled") / "label_lr"
    return record(folder, with_labels(search_events(), folder))


@pytest.fixture(scope="module")
def labels(labelled_sweep: SweepFrame) -> Labels:
    best = label_snapshots.best_labels(labelled_sweep)
    assert isinstance(best, Labels)
    return best


def test_the_labels_are_those_of_the_best_learned_trial(labelled_sweep: SweepFrame, labels: Labels) -> None:
    assert labels.name == labelled_sweep.best("learned").iloc[0]["name"] == "learned-6"
    assert labels.labels.shape == (IMAGES, 4)
    assert labels.wrong.sum() == WRONG
    assert labels.followed() is not None


def test_a_server_gives_the_same_labels_as_the_folder(labels: Labels, runs: Path, store: str) -> None:
    record_and_send(store, runs, with_labels(search_events(), runs / "label_lr"))
    read_back = label_snapshots.best_labels(load({"TRACKING_URI": store}))
    assert isinstance(read_back, Labels)
    np.testing.assert_array_equal(read_back.labels, labels.labels)
    assert read_back.history is not None
    assert labels.history is not None
    np.testing.assert_array_equal(read_back.history["largest"], labels.history["largest"])


# Outcomes


def test_the_history_counts_what_became_of_the_wrong_labels(labels: Labels) -> None:
    shares = label_outcomes.over_epochs(labels)
    assert shares is not None
    assert list(shares["epoch"]) == list(EPOCHS)
    assert list(shares["put_right"] * WRONG) == pytest.approx([0, 15, 30, 45, 60])
    assert list(shares["elsewhere"] * WRONG) == pytest.approx([0, 0, 10, 10, 10])
    assert list(shares[["put_right", "elsewhere", "as_given"]].sum(axis=1)) == pytest.approx([1] * 5)
    assert list(shares["lost"] * (IMAGES - WRONG)) == pytest.approx([0, 0, 0, 0, 5])


def test_a_label_is_put_right_for_good_where_it_stays_so(labels: Labels) -> None:
    when = label_outcomes.correction_epochs(labels)
    assert when is not None
    for image in range(60):
        assert when[image] == EPOCHS[1 + image % 4]
    assert np.isnan(when[60:]).all()
    assert labels.history is not None
    back = labels.history["largest"].copy()
    back[3, 0] = labels.given[0]  # right at the first snapshot, given again at the third, right at the end
    once = replace(labels, history={**labels.history, "largest": back})
    again = label_outcomes.correction_epochs(once)
    assert again is not None
    assert again[0] == EPOCHS[4]


def test_of_many_images_those_that_were_followed_stand_for_all(labels: Labels) -> None:
    assert labels.history is not None
    rows = np.arange(0, IMAGES, 2)
    shown = np.array([4, 8, 60])
    part = {name: labels.history[name][:, rows] for name in ("largest", "moved")}
    pixels = labels.history["pixels"][:3]
    half = replace(labels, history={**labels.history, **part, "rows": rows, "shown": shown, "pixels": pixels})
    shares = label_outcomes.over_epochs(half)
    assert shares is not None
    assert shares["put_right"].iloc[-1] * (WRONG / 2) == pytest.approx(30)
    when = label_outcomes.correction_epochs(half)
    assert when is not None
    assert list(when[:30]) == [EPOCHS[1 + image % 4] for image in range(0, 60, 2)]
    followed = half.followed()
    assert followed is not None
    moved, _ = image_gallery.by_movement(followed)
    assert list(moved) == pytest.approx(list(labels.history["moved"][-1][shown].astype(float)))


def test_classes_have_their_share_with_its_interval(labels: Labels) -> None:
    rows = label_outcomes.by_class(labels)
    assert rows["wrong"].sum() == WRONG
    assert (rows["wrong"] * rows["put_right"]).sum() == pytest.approx(60)
    assert rows["put_right"].is_monotonic_decreasing
    first = rows.iloc[0]
    expected = binomtest(round(first["wrong"] * first["put_right"]), int(first["wrong"])).proportion_ci(0.95, "wilson")
    assert (first["low"], first["high"]) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_words_give_the_number_and_the_quartiles_of_the_epochs(labels: Labels) -> None:
    assert "60 of 80 wrong labels put right (75 % [65, 83]" in label_outcomes.description(labels)
    assert "half of them for good by epoch 6 (a quarter by 3, three by 9)" in label_outcomes.description(labels)


# Detection


def test_precision_and_recall_are_those_of_scikit_learn(labels: Labels) -> None:
    precision, recall, thresholds = precision_recall_curve(labels.wrong, labels.suspicion)
    chosen = thresholds[:-1]
    ours = noise_detection.at_thresholds(labels, (chosen + thresholds[1:]) / 2)  # ours flags above, theirs at and above
    np.testing.assert_allclose(ours["precision"], precision[1:-1], atol=1e-12)
    np.testing.assert_allclose(ours["recall"], recall[1:-1], atol=1e-12)


def test_intervals_are_those_of_their_counts(labels: Labels) -> None:
    row = noise_detection.at_thresholds(labels, [0.5]).iloc[0]
    # 70 of the wrong ones and 5 of the right ones have lost more than half
    assert row["flagged"] == 75
    assert (row["precision"], row["recall"]) == (70 / 75, 70 / 80)
    for name, whole in (("precision", 75), ("recall", 80)):
        expected = binomtest(70, whole).proportion_ci(0.95, "wilson")
        assert (row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert "precision 0.933 [0.853, 0.971], recall 0.875 [0.785, 0.931]" in noise_detection.description(labels)


def test_nothing_flagged_has_no_precision(labels: Labels) -> None:
    still = replace(labels, labels=np.eye(4)[labels.given])
    row = noise_detection.at_thresholds(still, [0.5]).iloc[0]
    assert row["flagged"] == 0
    assert np.isnan(row["precision"])
    assert "precision –, recall 0.000" in noise_detection.description(still)
    style.figure(noise_detection.plots(still))


def test_labels_whose_truth_is_not_known_are_left_out(labels: Labels) -> None:
    truth = labels.truth.copy()
    truth[::2] = -1
    half = replace(labels, truth=truth)
    assert half.wrong.sum() == WRONG // 2
    row = noise_detection.at_thresholds(half, [0.5]).iloc[0]
    assert row["flagged"] == int((labels.suspicion[1::2] > 0.5).sum())
    assert noise_detection.description(replace(labels, truth=np.full(IMAGES, -1))) == noise_detection.NO_WRONG_LABELS


def test_fresh_seeds_of_the_same_trial_show_what_another_seed_gives(tmp_path: Path) -> None:
    folder = tmp_path / "label_lr"
    sweep = record(folder, [*with_labels(search_events(), folder), *confirmation_events(folder, 3, learned_files)])
    labels = label_snapshots.best_labels(sweep)
    fresh_seeds = label_snapshots.fresh_seed_labels(sweep, labels)
    assert [run.name for run in fresh_seeds] == ["learned-6 seed 1", "learned-6 seed 2", "learned-6 seed 3"]
    assert "Over 3 fresh seeds: precision from 0.933 to 0.933" in noise_detection.description(labels, fresh_seeds)
    left = style.figure(noise_detection.plots(labels, fresh_seeds)).axes[0]
    assert sum(line.get_linewidth() == 0.6 for line in left.lines) >= 6
    assert "3 fresh seeds" in label_snapshots.headline(labels, fresh_seeds)


# Images


def test_the_gallery_shows_the_farthest_first_with_what_they_were_and_became(labels: Labels) -> None:
    drawn = image_gallery.figure(labels)
    shown = [axes for axes in drawn.axes if axes.images]
    assert len(shown) == 24
    titles = [axes.get_title(loc="left") for axes in shown]
    moved = [float(title.split()[-1]) for title in titles]
    assert moved == sorted(moved, reverse=True)
    followed = labels.followed()
    assert followed is not None
    first = int(followed["shown"][0])
    assert titles[0].startswith(f"{labels.given[first]}→{labels.labels[first].argmax()} ")
    marked = [(" ✓" in title, "✗" in title) for title in titles]
    assert all(right != wrong for right, wrong in marked)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_images_of_any_number_of_channels_are_drawn(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (channels, 8, 6), dtype=np.uint8)
    drawn = as_drawn(image)
    assert drawn.dtype == np.uint8
    if channels in (3, 4):
        np.testing.assert_array_equal(drawn, image[:3].transpose(1, 2, 0))
    else:
        np.testing.assert_array_equal(drawn, image.mean(0).astype(np.uint8))


def test_classes_are_shown_by_name(labels: Labels) -> None:
    named = replace(labels, class_names=("cat", "a long-haired dachshund", "fox", "owl"))
    assert set(label_outcomes.by_class(named)["class"]) <= set(named.class_names)
    ticks = style.figure(label_outcomes.plots(named)).axes[1].get_yticklabels()
    assert {tick.get_text() for tick in ticks} == {"cat  (20)", "a long-haired dachs…  (20)", "fox  (20)", "owl  (20)"}
    wrong = next(i for i in range(IMAGES) if named.truth[i] == 3 and named.given[i] == 0)
    names = [named.class_names[named.given[wrong]], named.class_names[named.labels[wrong].argmax()]]
    assert names == ["cat", "owl"]
    assert image_gallery.caption(named, wrong, 0.934) == "cat→owl\n✓  0.93"
    assert image_gallery.caption(replace(named, class_names=tuple("cdfo")), wrong, 0.934) == "c→o ✓  0.93"
    assert image_gallery.caption(replace(named, truth=0 * named.truth - 1), wrong, 0.934) == "cat→owl\n0.93"


# Missing files


def test_without_a_history_the_end_is_shown_and_the_rest_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "older"
    labels = label_snapshots.best_labels(record(folder, with_labels(search_events(), folder, history=False)))
    assert isinstance(labels, Labels)
    assert labels.history is None
    assert [isinstance(plot, str) for plot in label_outcomes.plots(labels)] == [True, False]
    assert label_outcomes.description(labels).startswith("learned-6: 60 of 80 wrong labels put right")
    assert image_gallery.panel(labels) == image_gallery.NO_IMAGES


def test_without_labels_every_part_states_it(sweep: SweepFrame) -> None:
    labels = label_snapshots.best_labels(sweep)
    sentence = "learned-6 left no labels.npz that can be read"
    assert labels == sentence
    assert label_snapshots.fresh_seed_labels(sweep, labels) == []
    assert label_outcomes.plots(labels) == noise_detection.plots(labels) == [sentence]
    assert image_gallery.figure(labels).axes[0].texts[0].get_text() == sentence
    assert (
        label_outcomes.description(labels)
        == noise_detection.description(labels)
        == label_snapshots.headline(labels, [])
        == sentence
    )
    assert noise_detection.table(labels).empty


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    sweep = record(folder, with_labels(search_events(), folder))
    (folder / "trials" / "6" / "label_history.npz").write_bytes(b"PK cut off")
    best = label_snapshots.best_labels(sweep)
    assert isinstance(best, Labels)
    assert best.history is None
    (folder / "trials" / "6" / "labels.npz").write_bytes(b"")
    assert isinstance(label_snapshots.best_labels(sweep), str)


def test_axes_are_named_with_their_units(labels: Labels) -> None:
    for plots in (label_outcomes.plots(labels), noise_detection.plots(labels)):
        for axes in style.figure(plots).axes:
            assert axes.get_xlabel() == "epoch" or axes.get_xlabel().endswith(("(%)", "the given class"))
            assert axes.get_ylabel().endswith(("(%)", "(wrong labels)"))
