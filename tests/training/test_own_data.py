"""A user's own data in an npz file or a folder of images, and the cache of what was read."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.training.config.run_config import RunConfig
from harness.training.data.pool import load_pool, load_test
from harness.training.data.splits import load_splits
from harness.training.errors import DataError
from harness.training.run import Run
from tests.training import data_files as files
from tests.training.conftest import forget_data
from tests.training.data_files import config
from tests.training.run_helpers import epochs

pytestmark = pytest.mark.usefixtures("empty_cache")


CLASSES = (np.arange(80) % 4).astype(int)


def npz(folder: Path, changes: dict[str, Any] | None = None, **settings: Any) -> RunConfig:
    """A run on an npz file of 80 images in four classes, with a test part, given labels and counts of votes."""
    arrays: dict[str, Any] = {
        "x_train": files.pictures(80, 6, 5, 3),
        "y_train": CLASSES,
        "x_test": files.pictures(24, 6, 5, 3, seed=1),
        "y_test": CLASSES[:24],
        "y_train_given": (CLASSES + (np.arange(80) < 30)) % 4,
        "human_train": np.random.default_rng(0).integers(0, 9, (80, 4)) + 1,
        **(changes or {}),
    }
    np.savez(folder / "mine.npz", **{name: array for name, array in arrays.items() if array is not None})
    return config(f"npz:{folder}/mine.npz", reference_labels="human", **settings)


NO_TEST_PART = {"x_test": None, "y_test": None}


class TestNpz:
    def test_is_read_with_given_and_reference_labels(self, tmp_path: Path) -> None:
        of = npz(tmp_path, noise="given")
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

    def test_without_a_test_part_has_a_fifth_set_aside(self, tmp_path: Path) -> None:
        of = npz(tmp_path, NO_TEST_PART)
        pool, test = load_pool(of), load_test(of)
        assert (len(pool), len(test)) == (64, 16)
        assert torch.bincount(test.targets).tolist() == [4, 4, 4, 4]
        assert len(torch.cat([pool.pixels.stored, test.pixels.stored]).flatten(1).unique(dim=0)) == 80

    def test_images_of_unknown_class_are_trained_on_and_nothing_else(self, tmp_path: Path) -> None:
        run = Run(npz(tmp_path, {"y_train": np.where(np.arange(80) < 40, CLASSES, -1)}, noise="given"))
        known = run.splits.train.targets >= 0
        assert (~known).sum() == 40
        for part in (run.splits.meta, run.splits.val):
            assert (part.targets >= 0).all()
        right = run.soft_labels.argmax(1) == run.splits.train.targets
        assert epochs(run, 1)[0]["label_accuracy"] == pytest.approx(right[known].float().mean().item())
        with pytest.raises(DataError, match="noise symmetric: expected to know every true class, got 40 unknown"):
            load_splits(config(run.config.dataset))

    def test_grey_images_of_real_numbers_will_do(self, tmp_path: Path) -> None:
        images = np.random.default_rng(0).normal(5.0, 2.0, (80, 6, 5))
        pool = load_pool(npz(tmp_path, {**NO_TEST_PART, "x_train": images}))
        assert pool.shape == (1, 6, 5)
        assert pool.inputs.mean().item() == pytest.approx(0, abs=1e-5)
        assert pool.inputs.std(correction=0).item() == pytest.approx(1, abs=1e-5)

    def test_images_are_scaled_where_asked(self, tmp_path: Path) -> None:
        flat = np.repeat(np.arange(80, dtype=np.uint8), 30).reshape(80, 6, 5)
        pool = load_pool(npz(tmp_path, {**NO_TEST_PART, "x_train": flat}, image_size=9))
        assert pool.shape == (1, 9, 9)
        assert (pool.pixels.stored.flatten(1).amax(1) == pool.pixels.stored.flatten(1).amin(1)).all()

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"y_test": None}, "expected x_test and y_test together, got one of them; add the other"),
            ({"x_train": files.pictures(80, 6)}, r"expected images \[N, height, width\].*got shape \[80, 6\]"),
            ({"x_train": files.pictures(80, 3, 6, 5)}, r"1, 3 or 4 channels, got shape \[80, 3, 6, 5\]; transpose"),
            ({"x_train": np.full((80, 6, 5), np.nan)}, "expected images of finite numbers"),
            ({"x_train": files.pictures(80, 7, 5, 3)}, r"one shape, got \[3, 7, 5\] and \[3, 6, 5\]; set image_size"),
            ({"y_train": CLASSES[:79]}, r"one whole number for each of 80 images, got int64 of shape \[79\]"),
            ({"y_train": np.eye(4)[CLASSES]}, "got float64 of shape .*; write class indices"),
            ({"y_train": CLASSES - 2.0}, "got float64 of shape .*; write class indices"),
            ({"y_train": CLASSES - 3}, "expected classes from -1 to .*, got -3 at image 0 and 40"),
            ({"y_train_given": CLASSES - 1}, "expected classes from 0 to 3, got -1 at image 0"),
            ({"human_train": np.ones((80, 3))}, "expected classes from -1 to 2, got 3 at image 3"),
            ({"human_train": np.ones((7, 4))}, r"expected reference labels \[80, 4\], got float64 of shape \[7, 4\]"),
            ({"human_train": np.zeros((80, 4))}, "reference labels of 0 or more with a positive sum in each row"),
            ({"y_train": CLASSES * 0 - 1, "y_train_given": None}, "expected given labels for the images whose true"),
        ],
    )
    def test_that_holds_what_it_should_not_is_refused_in_words(
        self, tmp_path: Path, changes: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(DataError, match=words):
            load_pool(npz(tmp_path, changes))

    @pytest.mark.parametrize(
        ("changes", "settings", "words"),
        [
            (
                {"y_train": np.where(CLASSES == 1, 0, CLASSES)},
                {},
                "every class of .* in the meta set, got none of class 1; make",
            ),
            ({}, {"meta_size": 2}, r"meta_size 2: .* got none of class \d, \d; make meta_size larger"),
            ({}, {"train_size": 51}, "train_size: expected at most the 50 images .*, got 51; make one smaller"),
        ],
    )
    def test_that_cannot_be_split_as_asked_is_refused_in_words(
        self, tmp_path: Path, changes: dict[str, Any], settings: dict[str, int], words: str
    ) -> None:
        with pytest.raises(DataError, match=words):
            load_splits(npz(tmp_path, changes, **settings))

    def test_that_is_no_archive_or_a_damaged_one_is_refused_in_words(self, tmp_path: Path) -> None:
        of, file = npz(tmp_path), tmp_path / "mine.npz"
        whole = file.read_bytes()
        for damaged in (whole[: len(whole) // 2], b"PK\x03\x04 no", b"x" * 500, whole.replace(b"NUMPY", b"NOMPY")):
            file.write_bytes(damaged)
            with pytest.raises(DataError, match=r"expected an npz file.*write it anew"):
                load_pool(of)


def write_folder(folder: Path, part: str, each: int = 12, size: tuple[int, int] = (6, 5)) -> None:
    for c, name in enumerate(("cat", "dog", "fox")):
        (folder / part / name).mkdir(parents=True)
        for number, picture in enumerate(files.pictures(each, *size, 3, seed=c + 10 * len(part))):
            Image.fromarray(picture).save(folder / part / name / f"{number:02}.png")


class TestFolder:
    def test_is_read_with_its_own_test_part(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "train")
        write_folder(tmp_path, "test", each=4)
        of = config(f"folder:{tmp_path}", meta_size=6, val_size=6)
        pool, test = load_pool(of), load_test(of)
        assert pool.targets.tolist() == [0] * 12 + [1] * 12 + [2] * 12
        assert torch.equal(
            pool.pixels.stored[14], torch.from_numpy(files.pictures(12, 6, 5, 3, seed=51)[2]).permute(2, 0, 1)
        )
        assert (len(test), test.classes) == (12, 3)
        assert epochs(Run(of), 1)[0]["train_loss"] > 0

    def test_of_classes_alone_has_a_fifth_set_aside(self, tmp_path: Path) -> None:
        write_folder(tmp_path, ".")
        of = config(f"folder:{tmp_path}", meta_size=6, val_size=6)
        assert (len(load_pool(of)), len(load_test(of))) == (29, 7)

    def test_may_bring_noisy_and_reference_labels(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "train")
        write_folder(tmp_path, "test", each=4)
        (tmp_path / "given.csv").write_text("image,class\ntrain/cat/00.png,fox\ntrain/dog/03.png,cat\n")
        rows = [f"{part}/{name}/{number:02}.png,1,0,3" for part, each in (("train", 12), ("test", 4))
                for name in ("cat", "dog", "fox") for number in range(each)]  # fmt: skip
        (tmp_path / "reference.csv").write_text("\n".join(["image,fox,cat,dog", *rows]))
        pool = load_pool(config(f"folder:{tmp_path}"))
        assert pool.given is not None
        assert pool.reference is not None
        changed = (pool.given != pool.targets).nonzero().flatten().tolist()
        assert changed == [0, 15]
        assert pool.given[changed].tolist() == [2, 0]
        assert torch.equal(pool.reference, torch.tensor([[0.0, 0.75, 0.25]]).expand(36, 3))

    def test_with_trusted_images_takes_the_others_for_noisy(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "train")
        write_folder(tmp_path, "trusted", each=5)
        write_folder(tmp_path, "test", each=4)
        parts = load_splits(config(f"folder:{tmp_path}", noise="given", meta_size=6, val_size=6))
        assert (parts.train.targets < 0).sum() == 36
        assert len(parts.train) == 36 + 15 - 12
        assert (parts.meta.targets >= 0).all()
        assert torch.bincount(parts.noisy).tolist() == [13, 13, 13]

    def test_images_of_any_size_and_colour_are_made_one(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "train")
        Image.fromarray(files.pictures(1, 9, 9)[0]).save(tmp_path / "train" / "cat" / "grey.jpg")
        with pytest.raises(DataError, match="expected images of one size, got 6×5 to 9×9; set image_size"):
            load_pool(config(f"folder:{tmp_path}"))
        assert load_pool(config(f"folder:{tmp_path}", image_size=8)).shape == (3, 8, 8)

    def test_that_holds_no_classes_or_no_images_is_refused_in_words(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"to hold train/CLASS .*, or CLASS alone, got neither; correct"):
            load_pool(config(f"folder:{tmp_path}"))
        (tmp_path / "train" / "cat").mkdir(parents=True)
        with pytest.raises(DataError, match="train: expected images in its folders, got none; add them"):
            load_pool(config(f"folder:{tmp_path}"))

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("train/cat/00.png", "no image", r"00.png: expected an image, got the error: .*; replace or remove it"),
        ],
    )
    def test_with_a_damaged_file_is_refused_in_words(self, tmp_path: Path, name: str, content: str, words: str) -> None:
        write_folder(tmp_path, "train")
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=words):
            load_pool(config(f"folder:{tmp_path}"))


class TestCache:
    def test_a_second_process_reads_no_source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        of = npz(tmp_path)
        first = load_pool(of).inputs
        forget_data()
        monkeypatch.setattr("harness.training.data.readers.npz.read", None)
        assert torch.equal(load_pool(of).inputs, first)

    def test_a_changed_file_is_read_anew(self, tmp_path: Path) -> None:
        before = load_pool(npz(tmp_path)).inputs
        forget_data()
        of = npz(tmp_path, {"x_train": files.pictures(80, 6, 5, 3, seed=8)})
        os.utime(tmp_path / "mine.npz", (1, 1))
        assert not torch.equal(load_pool(of).inputs, before)

    def test_what_was_read_stays_one_copy_for_all_runs_of_a_process(self, tmp_path: Path) -> None:
        of = npz(tmp_path)
        runs = [Run(of), Run(of.model_copy(update={"seed": 1}))]
        assert runs[0].images.pixels.stored is runs[1].images.pixels.stored

    def test_a_folder_that_cannot_be_written_changes_nothing_but_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert len(load_pool(npz(tmp_path))) == 80

    def test_digits_leave_nothing_behind(self, empty_cache: Path) -> None:
        load_pool(RunConfig())
        assert not empty_cache.exists()
