"""The history of the labels: what it keeps, in how much space, and across a restart."""

import numpy as np
import pytest
import torch

from harness.training import label_history
from harness.training.config.run_config import RunConfig
from harness.training.data.images import Images
from harness.training.data.pool import load_pool, load_test, pool_index
from harness.training.label_history import MAX_SIDE, SHOWN_IMAGES, SNAPSHOTS, LabelHistory, snapshot_epochs
from harness.training.run import Run
from tests.training.run_helpers import epochs, same_state, through_a_file

QUICK = RunConfig(noise="symmetric", noise_rate=0.4, width=8, epochs=4, train_size=200, label_lr=0.5)


@pytest.mark.parametrize("count", [1, 2, 23, 24, 40, 10_007])
def test_snapshots_are_few_and_spread_evenly_from_the_start_to_the_last(count: int) -> None:
    kept = snapshot_epochs(count)
    assert (kept[0], kept[-1]) == (0, count)
    assert len(kept) == min(count + 1, SNAPSHOTS)
    gaps = np.diff(kept)
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_the_course_of_a_run_is_that_of_its_labels() -> None:
    run = Run(QUICK)
    start = run.soft_labels
    seen = [start]
    while not run.done:
        run.train_epoch()
        seen.append(run.soft_labels)
    assert run.label_history is not None
    arrays = run.label_history.arrays(run.splits.train)
    assert arrays["epochs"].tolist() == [0, 1, 2, 3, 4]
    assert (arrays["largest"].dtype, arrays["moved"].dtype) == (np.uint8, np.float16)
    moved = np.stack([(labels - start).abs().sum(1).cpu().numpy() / 2 for labels in seen])
    np.testing.assert_array_equal(arrays["largest"], np.stack([labels.argmax(1).cpu().numpy() for labels in seen]))
    np.testing.assert_allclose(arrays["moved"], moved, atol=5e-4)  # half precision
    assert moved[-1].max() > 0.1
    assert len(arrays["shown"]) == SHOWN_IMAGES
    assert moved[-1][arrays["shown"]].min() >= np.sort(moved[-1])[-SHOWN_IMAGES] - 1e-3
    assert arrays["pixels"].shape == (SHOWN_IMAGES, 1, 8, 8)
    assert (arrays["pixels"].min(), arrays["pixels"].max()) == (0, 255)
    stored = run.splits.train.pixels.stored[run.splits.train.index[arrays["shown"]]].cpu()
    np.testing.assert_array_equal(arrays["pixels"], (stored * (255 / 16)).round().byte())


@pytest.mark.parametrize("settings", [{"labels": "class", "method": "learned"}, {"method": "online_label_smoothing"}])
def test_of_class_labels_the_matrix_is_kept(settings: dict[str, object]) -> None:
    run = Run(QUICK.model_copy(update=settings))
    start = run.method.class_labels().cpu()
    epochs(run, 4)
    assert run.label_history is not None
    arrays = run.label_history.arrays(run.splits.train)
    assert "pixels" not in arrays
    matrices = arrays["class_labels"]
    assert matrices.shape == (5, 10, 10)
    np.testing.assert_allclose(matrices[0], start, atol=1e-3)
    np.testing.assert_allclose(matrices[-1], run.method.class_labels().cpu(), atol=1e-3)
    np.testing.assert_array_equal(arrays["largest"][-1], matrices[-1].argmax(1)[run.splits.noisy.cpu()])


@pytest.mark.parametrize("method", ["one_hot", "label_smoothing", "gce", "fine_tuning", "reweighting"])
def test_labels_that_do_not_move_have_no_history(method: str) -> None:
    assert Run(QUICK.model_copy(update={"method": method})).label_history is None


@pytest.mark.parametrize("settings", [{}, {"labels": "class"}, {"method": "elr"}, {"method": "bootstrapping"}])
def test_a_restart_leaves_the_course_as_it_would_have_been(settings: dict[str, object]) -> None:
    config = QUICK.model_copy(update={"method": "learned", **settings})
    whole, first, second = Run(config), Run(config), Run(config)
    epochs(whole, 4)
    epochs(first, 2)
    second.load_state_dict(through_a_file(first.state_dict()))
    epochs(second, 2)
    assert whole.label_history is not None
    assert second.label_history is not None
    assert same_state(whole.label_history.state_dict(), second.label_history.state_dict())
    left, right = whole.label_history.arrays(whole.splits.train), second.label_history.arrays(second.splits.train)
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name]) for name in left)


def test_of_too_many_images_the_same_few_are_followed_throughout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_history, "MAX_IMAGES", 30)
    draw = torch.Generator().manual_seed(1)
    start, end = (torch.rand(100, 300, generator=draw) for _ in range(2))
    one, again = (LabelHistory(start, None, 2, torch.Generator().manual_seed(3)) for _ in range(2))
    one.record(2, end, None)
    images = Images.from_tensors(
        torch.rand(100, 3, 2 * MAX_SIDE, 2 * MAX_SIDE, generator=draw), torch.zeros(100).long(), 300
    )
    arrays = one.arrays(images)
    assert torch.equal(one.rows, again.rows)
    assert len(set(arrays["rows"].tolist())) == 30
    assert arrays["largest"].dtype == np.uint16
    np.testing.assert_array_equal(arrays["largest"][-1], end.argmax(1)[arrays["rows"]])
    assert set(arrays["shown"].tolist()) <= set(arrays["rows"].tolist())
    assert arrays["pixels"].shape == (30, 3, MAX_SIDE, MAX_SIDE), "larger images are averaged down"


def test_labels_that_stayed_where_they_were_show_no_images() -> None:
    start = torch.eye(3)
    images = Images.from_tensors(torch.rand(3, 1, 4, 4), torch.arange(3), 3)
    history = LabelHistory(start, None, 5, torch.Generator())
    history.record(5, start, None)
    assert len(history.arrays(images)["shown"]) == 0


def test_every_image_of_the_pool_is_found_in_the_data_set_by_its_place() -> None:
    from harness.training.data.readers import digits

    pool, test, places = load_pool(QUICK), load_test(QUICK), pool_index(QUICK)
    raw = digits.read(QUICK).train
    assert len(pool) + len(test) == len(raw.truth)
    np.testing.assert_array_equal(raw.images[places], pool.pixels.stored.numpy())
    np.testing.assert_array_equal(raw.truth[places], pool.targets.numpy())
