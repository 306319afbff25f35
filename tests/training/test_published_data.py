"""Published data sets, read from small files of their forms."""

import gzip
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.training.data.pool import load_pool, load_test
from harness.training.data.readers import idx, torchvision_sets
from harness.training.data.splits import load_splits
from harness.training.errors import DataError
from harness.training.run import Run
from tests.training import data_files as files
from tests.training.data_files import config, standardised
from tests.training.run_helpers import epochs

pytestmark = pytest.mark.usefixtures("empty_cache")


@pytest.fixture
def any_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision take files that are not the published ones."""
    name = "torchvision.datasets.cifar.check_integrity"
    monkeypatch.setattr(name, lambda path, md5=None: Path(path).exists())


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("below", ["MNIST/raw", "MNIST", "."])
def test_idx_files_are_read_from_where_they_usually_are(tmp_path: Path, zipped: bool, below: str) -> None:
    held = files.write_idx_set(tmp_path / "root" / below, zipped)
    of = config("MNIST", tmp_path / "root")
    pool, test = load_pool(of), load_test(of)
    expected = standardised(held["train-images-idx3-ubyte"][..., None])
    torch.testing.assert_close(pool.inputs, expected, rtol=1e-4, atol=1e-5)
    assert pool.targets.tolist() == held["train-labels-idx1-ubyte"].tolist()
    assert (len(test), test.classes, test.shape) == (40, 10, (1, 28, 28))
    assert torch.equal(test.pixels.stored[:, 0], torch.from_numpy(held["t10k-images-idx3-ubyte"]))


def test_torchvision_reads_the_same_from_idx_files(tmp_path: Path) -> None:
    files.write_idx_set(tmp_path / "KMNIST/raw", zipped=False)
    of = config("KMNIST", tmp_path)
    sets = idx.read(of), torchvision_sets.read(of)
    for ours, theirs in ((splits.train for splits in sets), (splits.test for splits in sets)):
        assert ours is not None
        assert theirs is not None
        assert (ours.images == theirs.images).all()
        assert (ours.truth == theirs.truth).all()
        assert ours.classes == theirs.classes
    assert 0 < epochs(Run(of), 1)[0]["train_loss"] < 5


@pytest.mark.parametrize(("name", "last"), [("MNIST", "9"), ("FashionMNIST", "Ankle boot"), ("KMNIST", "wo")])
def test_published_classes_have_their_names(name: str, last: str, tmp_path: Path) -> None:
    files.write_idx_set(tmp_path / name, zipped=False)
    pool = load_pool(config(name, tmp_path))
    assert (len(set(pool.class_names)), pool.class_names[-1]) == (10, last)


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (["cat", "dog"], ("cat", "dog")),
        ([("crane", "wading bird"), ("dog",)], ("crane", "dog")),
        (["crane", "crane"], ("0", "1")),
        (["cat"], ("0", "1")),
        (None, ("0", "1")),
    ],
)
def test_classes_of_torchvision_have_the_names_it_knows_unless_they_are_one(
    published: object, expected: tuple[str, ...]
) -> None:
    assert torchvision_sets._class_names(published, 2) == expected


@pytest.mark.parametrize("damage", ["cut off", "no gzip", "another form", "empty"])
def test_a_damaged_idx_file_is_refused_in_words(tmp_path: Path, damage: str) -> None:
    files.write_idx_set(tmp_path / "MNIST/raw", zipped=True)
    file = tmp_path / "MNIST/raw/t10k-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    damaged = {"cut off": whole[:-100], "no gzip": b"not at all", "empty": b"", "another form": gzip.compress(b"abc")}
    file.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=rf"{re.escape(str(file))}: expected .*; fetch it anew"):
        load_pool(config("MNIST", tmp_path))


def test_a_label_out_of_range_is_refused_in_words(tmp_path: Path) -> None:
    held = files.write_idx_set(tmp_path / "MNIST/raw", zipped=False)
    labels = held["train-labels-idx1-ubyte"]
    labels[33] = 12
    (tmp_path / "MNIST/raw/train-labels-idx1-ubyte").write_bytes(files.idx(labels))
    with pytest.raises(DataError, match=r"expected classes from -1 to 9, got 12 at image 33 \(1 such\)"):
        load_pool(config("MNIST", tmp_path))


@pytest.mark.skipif(not idx.DEBIAN["FashionMNIST"].is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_fashion_mnist_is_found_where_debian_puts_it(tmp_path: Path) -> None:
    of = config("FashionMNIST", tmp_path, train_size=200, meta_size=100, val_size=100)
    pool, test = load_pool(of), load_test(of)
    assert (len(pool), len(test), pool.shape) == (60_000, 10_000, (1, 28, 28))
    assert torch.bincount(pool.targets).tolist() == [6000] * 10
    assert pool.pixels.mean.item() / 255 == pytest.approx(0.2860, abs=1e-4)  # as published with the set
    assert pool.pixels.std.item() / 255 == pytest.approx(0.3530, abs=1e-4)
    assert torch.bincount(load_splits(of).train.targets).tolist() == [20] * 10


@pytest.mark.usefixtures("any_sum")
def test_cifar10_and_cifar100(tmp_path: Path) -> None:
    train, test = files.write_cifar10(tmp_path)
    of = config("CIFAR10", tmp_path)
    torch.testing.assert_close(load_pool(of).inputs, standardised(train), rtol=1e-4, atol=1e-5)
    assert load_pool(of).targets.tolist() == [*range(10)] * 10
    assert load_pool(of).class_names == tuple(f"class {c}" for c in range(10))
    assert torch.equal(load_test(of).pixels.stored, torch.from_numpy(test).permute(0, 3, 1, 2))
    train, of = files.write_cifar100(tmp_path), config("CIFAR100", tmp_path, meta_size=100)
    torch.testing.assert_close(load_pool(of).inputs, standardised(train), rtol=1e-4, atol=1e-5)
    assert torch.bincount(load_splits(of).meta.targets).tolist() == [1] * 100


def test_a_set_of_images_of_any_size_is_scaled(tmp_path: Path) -> None:
    for c in range(10):
        folder = tmp_path / "eurosat" / "2750" / f"class{c}"
        folder.mkdir(parents=True)
        for number in range(6):
            Image.fromarray(files.pictures(1, 20 + c, 30, 3)[0]).save(folder / f"{number}.png")
    with pytest.raises(DataError, match=r"expected images of one size, got 20×30 to 29×30; set image_size"):
        load_pool(config("EuroSAT", tmp_path))
    of = config("EuroSAT", tmp_path, image_size=16)
    assert load_pool(of).shape == (3, 16, 16)
    assert (len(load_pool(of)), len(load_test(of))) == (48, 12)  # it has no test part of its own


@pytest.mark.parametrize("name", ["CIFAR10", "SVHN", "Food101"])
def test_a_set_of_torchvision_that_is_absent_is_refused_in_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: torchvision could not read it from .*; set data_root to"):
        load_pool(config(name, tmp_path))


def test_a_file_of_another_sum_is_refused_in_words(tmp_path: Path) -> None:
    files.write_cifar10(tmp_path)
    with pytest.raises(DataError, match=r"CIFAR10: torchvision could not read it from .*corrupted"):
        load_pool(config("CIFAR10", tmp_path))
