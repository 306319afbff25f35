"""A user's own data in an npz file: read in the forms that people write, or refused in words."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness.training.data.arrays import load_summary
from harness.training.data.pool import load_pool, load_test
from harness.training.data.readers import npz as reader
from harness.training.data.splits import load_splits
from harness.training.errors import DataError
from harness.training.run import Run
from tests.training import data_files as files
from tests.training.data_files import config
from tests.training.run_helpers import epochs

pytestmark = pytest.mark.usefixtures("empty_cache")


Array = NDArray[Any]
CLASSES = files.CLASSES
NO_TEST_PART = {"x_test": None, "y_test": None}


def test_a_file_is_read_with_given_and_reference_labels(tmp_path: Path) -> None:
    of = files.npz(tmp_path, noise="given")
    held, run = np.load(tmp_path / "mine.npz"), Run(of)
    train, noisy, meta = run.splits.train, run.splits.noisy, run.splits.meta
    assert torch.equal(run.soft_labels.argmax(1), noisy)
    assert torch.equal(noisy, torch.tensor(held["y_train_given"])[train.index])
    assert 0 < (noisy != train.targets).sum() <= 30
    assert train.reference is not None
    expected = torch.tensor(held["human_train"] / held["human_train"].sum(1, keepdims=True)).float()
    assert torch.equal(train.reference, expected[train.index])
    assert torch.equal(meta.targets, torch.tensor(held["y_train"])[meta.index])
    assert torch.equal(load_test(of).targets, torch.from_numpy(held["y_test"]))
    held.close()


def test_a_file_without_a_test_part_has_a_fifth_set_aside(tmp_path: Path) -> None:
    of = files.npz(tmp_path, NO_TEST_PART)
    pool, test = load_pool(of), load_test(of)
    assert (len(pool), len(test)) == (64, 16)
    assert torch.bincount(test.targets).tolist() == [4, 4, 4, 4]
    assert len(torch.cat([pool.pixels.stored, test.pixels.stored]).flatten(1).unique(dim=0)) == 80


def test_images_of_unknown_class_are_trained_on_and_nothing_else(tmp_path: Path) -> None:
    run = Run(files.npz(tmp_path, {"y_train": np.where(np.arange(80) < 40, CLASSES, -1)}, noise="given"))
    known = run.splits.train.targets >= 0
    assert (~known).sum() == 40
    for part in (run.splits.meta, run.splits.val):
        assert (part.targets >= 0).all()
    right = run.soft_labels.argmax(1) == run.splits.train.targets
    assert epochs(run, 1)[0]["label_accuracy"] == pytest.approx(right[known].float().mean().item())
    with pytest.raises(DataError, match="noise symmetric: expected to know every true class, got 40 unknown"):
        load_splits(config(run.config.dataset))


def test_grey_images_of_real_numbers_will_do(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(5.0, 2.0, (80, 6, 5))
    pool = load_pool(files.npz(tmp_path, {**NO_TEST_PART, "x_train": images}))
    assert pool.shape == (1, 6, 5)
    assert pool.inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert pool.inputs.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_images_are_scaled_where_asked(tmp_path: Path) -> None:
    flat = np.repeat(np.arange(80, dtype=np.uint8), 30).reshape(80, 6, 5)
    pool = load_pool(files.npz(tmp_path, {**NO_TEST_PART, "x_train": flat}, image_size=9))
    assert pool.shape == (1, 9, 9)
    assert (pool.pixels.stored.flatten(1).amax(1) == pool.pixels.stored.flatten(1).amin(1)).all()


NAMES = np.array(["café", "dog", "Arctic fox", "bird"])
ORDER = sorted(NAMES)

LABELS: dict[str, Callable[[Array], Any]] = {
    "a column": lambda y: y[:, None],
    "bytes": lambda y: y.astype(np.uint8),
    "the largest type": lambda y: y.astype(np.uint64),
    "real numbers": lambda y: y.astype(np.float32),
    "a column of real numbers": lambda y: y.astype(np.float64)[:, None],
    "one-hot": lambda y: np.eye(4)[y],
    "one-hot booleans": lambda y: np.eye(4, dtype=bool)[y],
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_are_read_in_any_form_of_indices(form: str, tmp_path: Path) -> None:
    changes = {key: LABELS[form](array) for key, array in files.npz_labels().items()}
    pool = load_pool(files.npz(tmp_path, changes))
    assert pool.targets.tolist() == CLASSES.tolist()
    assert pool.given is not None
    assert pool.given.tolist() == files.npz_labels()["y_train_given"].tolist()
    assert pool.class_names == ("0", "1", "2", "3")


@pytest.mark.parametrize("kind", ["text", "bytes", "other Unicode form", "a column"])
def test_labels_that_are_text_are_names_of_classes(kind: str, tmp_path: Path) -> None:
    names = {
        "text": NAMES,
        "bytes": np.char.encode(NAMES, "utf-8"),
        "other Unicode form": np.array([f" {unicodedata.normalize('NFD', name)}" for name in NAMES]),
        "a column": NAMES[:, None],
    }[kind]
    changes = {key: names[array] for key, array in files.npz_labels().items()}
    of = files.npz(tmp_path, changes)
    pool = load_pool(of)
    assert pool.class_names == tuple(ORDER) == ("Arctic fox", "bird", "café", "dog")
    assert [pool.class_names[c] for c in pool.targets] == NAMES[CLASSES].tolist()
    assert pool.given is not None
    assert [pool.class_names[c] for c in pool.given] == NAMES[files.npz_labels()["y_train_given"]].tolist()
    assert "taken for Arctic fox, bird, café, dog, in this order" in " ".join(load_summary(of).text.split())


def test_names_that_are_numbers_are_sorted_as_numbers_and_empty_ones_are_unknown(tmp_path: Path) -> None:
    names = np.array(["2", "10", "1", "33"])
    changes = {key: names[array] for key, array in files.npz_labels().items()}
    changes["y_train"][:5] = ""
    pool = load_pool(files.npz(tmp_path, changes))
    assert pool.class_names == ("1", "2", "10", "33")
    assert pool.targets[:8].tolist() == [-1] * 5 + [2, 0, 3]


def test_booleans_are_two_classes(tmp_path: Path) -> None:
    changes = {key: array % 2 == 1 for key, array in files.npz_labels().items()}
    pool = load_pool(files.npz(tmp_path, {**changes, "human_train": None}))
    assert pool.class_names == ("False", "True")
    assert pool.targets.tolist() == (CLASSES % 2).tolist()


IMAGES: dict[str, tuple[Array, list[int]]] = {
    "grey": (files.pictures(80, 6, 5), [1, 6, 5]),
    "with transparency": (files.pictures(80, 6, 5, 4), [4, 6, 5]),
    "channels first": (files.pictures(80, 3, 6, 5), [3, 6, 5]),
    "grey, channels first": (files.pictures(80, 1, 28, 28), [1, 28, 28]),
    "thirteen channels": (files.pictures(80, 16, 15, 13), [13, 16, 15]),
    "thirteen channels, first": (files.pictures(80, 13, 16, 15), [13, 16, 15]),
    "two channels": (files.pictures(80, 6, 5, 2), [2, 6, 5]),
    "as few pixels as channels": (files.pictures(80, 3, 3, 3), [3, 3, 3]),
}


@pytest.mark.parametrize("form", IMAGES)
def test_images_have_any_number_of_channels_in_either_place_where_one_alone_can_be_meant(
    form: str, tmp_path: Path
) -> None:
    images, shape = IMAGES[form]
    of = files.npz(tmp_path, {**NO_TEST_PART, "x_train": images})
    pool = load_pool(of)
    assert list(pool.shape) == shape
    channels = images[:, None] if images.ndim == 3 else images if "first" in form else images.transpose(0, 3, 1, 2)
    stored = pool.pixels.stored.numpy()
    assert set(map(bytes, stored)) <= set(map(bytes, np.ascontiguousarray(channels)))
    assert epochs(Run(of), 1)[0]["train_loss"] > 0


@pytest.mark.parametrize("kind", [bool, np.int16, np.uint16, np.int64, np.float16, np.float64])
def test_pixels_are_of_any_type_of_numbers(kind: type, tmp_path: Path) -> None:
    images = files.pictures(80, 6, 5).astype(np.float64) / 4 > 30 if kind is bool else files.pictures(80, 6, 5)
    pool = load_pool(files.npz(tmp_path, {**NO_TEST_PART, "x_train": images.astype(kind)}))
    assert pool.inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert pool.inputs.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_a_network_that_cannot_take_that_many_channels_is_refused_in_words(tmp_path: Path) -> None:
    of = files.npz(tmp_path, {**NO_TEST_PART, "x_train": files.pictures(80, 40, 40, 5)}, model="torchvision:resnet18")
    with pytest.raises(
        DataError, match="torchvision:resnet18: expected images of 1 or 3 channels, got 5; choose linear"
    ):
        Run(of)


def test_a_validation_part_is_read_and_other_arrays_are_said(tmp_path: Path) -> None:
    more = {"x_val": files.pictures(12, 6, 5, 3, seed=2), "y_val": CLASSES[:12], "w": np.ones(3), "a": np.ones(2)}
    dataset = reader.read(files.npz(tmp_path, more))
    assert dataset.validation is not None
    assert dataset.validation.truth.tolist() == CLASSES[:12].tolist()
    assert dataset.remarks == ("arrays that are not read: a, w",)


def one_far(value: float, kind: type = np.float64) -> Array:
    images = files.pictures(80, 6, 5).astype(kind)
    images[7, 3, 2] = value
    return images


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_test": None}, "expected the arrays y_test in .*, got human_train, x_test, x_train, y_train, y_train_g"),
        ({"x_train": None, "images": CLASSES}, "expected the arrays x_train in .*, got human_train, images, .*; add"),
        ({"x_train": files.pictures(80, 6, 5, 3, 2)}, r"expected images .*got shape \[80, 6, 5, 3, 2\]; reshape"),
        ({"x_train": files.pictures(80, 6, 5, 7)}, r"fewer channels than pixels on a side, got shape \[80, 6, 5, 7\]"),
        ({"x_train": files.pictures(80, 6, 5, 1)}, r"one shape, got \[1, 6, 5\] and \[3, 6, 5\]; store both alike"),
        ({"x_train": files.pictures(80, 7, 5, 3)}, r"one shape, got \[3, 7, 5\] and \[3, 6, 5\]; set image_size"),
        ({"x_train": one_far(np.nan)}, r"finite numbers, got nan at image 7, channel 0, row 3, column 2 \(1 such\)"),
        ({"x_train": one_far(-np.inf)}, "x_train: expected finite numbers, got -inf at image 7, channel 0, row 3"),
        ({"x_train": one_far(1e30)}, r"x_train: expected pixels on one scale, got 1e\+30 at image 7, channel 0, row 3"),
        ({"x_train": one_far(-(10**12), np.int64)}, "expected pixels on one scale, got -1000000000000 at image 7"),
        ({"x_train": 1e8 + files.pictures(80, 6, 5) / 255}, r"expected pixels that float32 tells apart, got 1e\+08 to"),
        ({"x_train": 1e300 * files.pictures(80, 6, 5)}, "expected pixels that float32 tells apart"),
        ({"x_train": 1e-40 * files.pictures(80, 6, 5)}, "expected pixels that float32 tells apart"),
        ({"x_train": np.zeros((80, 6, 5), np.uint8)}, "x_train: expected images that differ, got 0 in every pixel"),
        ({"x_train": 1j * files.pictures(80, 6, 5)}, "x_train: expected images of numbers, got an array of complex128"),
        ({"x_train": files.pictures(80, 6, 5).astype("M8[s]")}, "expected images of numbers, got an array of datetime"),
        ({"x_train": files.pictures(80, 6, 5).astype("U3")}, "expected images of numbers, got an array of <U3"),
        ({"x_train": files.pictures(80, 6, 5).astype(object)}, "x_train: expected .* got one of Python objects"),
        ({"y_train": NAMES[CLASSES].astype(object)}, r"y_train: expected .* got one of Python objects; convert it"),
        ({"y_train": CLASSES[:79]}, "true classes: expected one for each of 80 images, got 79; give as many"),
        ({"y_train": np.eye(4)[CLASSES] / 2}, "y_train: expected one class .* rows of 4 numbers, that of image 0 not"),
        ({"y_train": np.zeros((80, 4))}, "y_train: expected one class .* rows of 4 numbers, that of image 0 not"),
        ({"y_train": np.zeros((80, 2, 2))}, r"y_train: expected one class .* got float64 of shape \[80, 2, 2\]"),
        ({"y_train": CLASSES + 0.5}, "y_train: expected whole numbers from 0, .* got 0.5 at image 0"),
        ({"y_train": np.where(CLASSES == 2, np.nan, CLASSES)}, r"y_train: .* got nan at image 2 \(20 such\)"),
        ({"y_train": CLASSES - 3}, r"y_train: expected whole numbers from 0, .* got -3 at image 0 \(40 such\); write"),
        ({"y_train": CLASSES.astype(np.uint64) + 2**63}, "y_train: .* got 9223372036854775808 at image 0"),
        ({"y_train": CLASSES * 1j}, "y_train: expected class indices or names, got complex128"),
        ({"y_train": NAMES[CLASSES]}, "expected labels of one kind, got names in y_train, indices in y_test, indices"),
        ({"y_train_given": CLASSES - 1}, "given labels: expected classes from 0 to 3, got none at image 0"),
        ({"human_train": np.ones((80, 3))}, "expected classes from -1 to 2, got 3 at image 3"),
        ({"human_train": np.ones((7, 4))}, r"expected reference labels \[80, 4\], got float64 of shape \[7, 4\]"),
        ({"human_train": np.eye(80, 4)}, r"a positive sum in each row, got others for image 4 \(76 such\)"),
        ({"y_train": CLASSES * 0 - 1, "y_train_given": None}, "expected given labels for the images whose true"),
    ],
)  # fmt: skip
def test_a_file_that_holds_what_it_should_not_is_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        load_pool(files.npz(tmp_path, changes))


def test_a_key_of_reference_labels_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="reference_labels: expected one of the arrays humans_train, humans_val, humans_t"
    ):
        load_pool(files.npz(tmp_path, reference_labels="humans"))


@pytest.mark.parametrize("name", ["a\x1b[31mcat", "cat\ndog", "cat\x7f"])
def test_a_name_that_no_terminal_can_show_is_refused_in_words(name: str, tmp_path: Path) -> None:
    names = np.array([name, *NAMES[1:]])
    changes = {key: names[array] for key, array in files.npz_labels().items()}
    with pytest.raises(DataError, match="expected names of classes in printable characters, got '") as caught:
        load_pool(files.npz(tmp_path, changes))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y + 1, r"y_train, y_test, y_train_given: expected classes from 0, got 1 to 4; subtract 1"),
        (
            lambda y: 2 * y,
            r"expected every class from 0 to 6, got no image of class 1, 3, 5; number the classes without",
        ),
        (lambda y: 80 * y, r"to 240, got no image of class 1, 2, 3, 4, 5 and 232 more; number"),
        (
            lambda y: 10**9 * y,
            r"to 3000000000, got|y_train: expected whole numbers from 0, .* got 3000000000 at image 3",
        ),
        (lambda y: 0 * y, r"expected images of two classes or more, got 0 alone"),
        (lambda y: NAMES[0 * y], r"expected images of two classes or more, got café alone"),
    ],
)
def test_classes_that_are_shifted_have_gaps_or_are_one_are_refused_in_words(
    tmp_path: Path, change: Callable[[Array], Array], words: str
) -> None:
    changes = {key: change(array) for key, array in files.npz_labels().items()}
    with pytest.raises(DataError, match=words):
        load_splits(files.npz(tmp_path, {**changes, "human_train": None}))


@pytest.mark.parametrize(
    ("changes", "settings", "words"),
    [
        (
            {"y_train": np.where(CLASSES == 1, 0, CLASSES)},
            {},
            "every class of .* in the meta set, got none of class 1; add training images of these, or correct",
        ),
        ({}, {"meta_size": 2}, r"meta_size 2: .* got none of class \d, \d; make meta_size larger"),
        ({}, {"train_size": 51}, "train_size: expected at most the 50 images .*, got 51; make one smaller"),
    ],
)
def test_a_file_that_cannot_be_split_as_asked_is_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], settings: dict[str, int], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        load_splits(files.npz(tmp_path, changes, **settings))


def test_a_file_that_is_no_archive_or_a_damaged_one_is_refused_in_words(tmp_path: Path) -> None:
    of, file = files.npz(tmp_path), tmp_path / "mine.npz"
    whole = file.read_bytes()
    np.savez_compressed(file, **np.load(file))
    compressed = file.read_bytes()
    half = len(compressed) // 2
    for damaged in (
        compressed[:half] + bytes(99) + compressed[half + 99 :],
        whole[: len(whole) // 2],
        b"PK\x03\x04 no",
        b"x" * 500,
        whole.replace(b"NUMPY", b"NOMPY"),
    ):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"expected an npz file.*write it anew"):
            load_pool(of)
