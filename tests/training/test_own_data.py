"""A user's own data in a folder of images, and the cache of what was read."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import load_summary
from harness.training.data.pool import load_pool, load_test
from harness.training.data.splits import load_splits
from harness.training.errors import DataError
from harness.training.run import Run
from tests.training import data_files as files
from tests.training.conftest import forget_data
from tests.training.data_files import config
from tests.training.run_helpers import epochs

pytestmark = pytest.mark.usefixtures("empty_cache")


def write_folder(folder: Path, part: str, count: int = 12, size: tuple[int, int] = (6, 5)) -> None:
    for c, name in enumerate(("cat", "dog", "fox")):
        (folder / part / name).mkdir(parents=True)
        for number, picture in enumerate(files.pictures(count, *size, 3, seed=c + 10 * len(part))):
            Image.fromarray(picture).save(folder / part / name / f"{number:02}.png")


class TestFolder:
    def test_is_read_with_its_own_test_part(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "train")
        write_folder(tmp_path, "test", count=4)
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
        write_folder(tmp_path, "test", count=4)
        (tmp_path / "given.csv").write_text("image,class\ntrain/cat/00.png,fox\ntrain/dog/03.png,cat\n")
        rows = [f"{part}/{name}/{number:02}.png,1,0,3" for part, count in (("train", 12), ("test", 4))
                for name in ("cat", "dog", "fox") for number in range(count)]  # fmt: skip
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
        write_folder(tmp_path, "trusted", count=5)
        write_folder(tmp_path, "test", count=4)
        parts = load_splits(config(f"folder:{tmp_path}", noise="given", meta_size=6, val_size=6))
        assert (parts.train.targets < 0).sum() == 36
        assert len(parts.train) == 36 + 15 - 12
        assert (parts.meta.targets >= 0).all()
        assert torch.bincount(parts.noisy).tolist() == [13, 13, 13]

    def test_with_trusted_images_takes_given_classes_in_place_of_the_folder_s(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "train")
        write_folder(tmp_path, "trusted", count=5)
        (tmp_path / "given.csv").write_text("image,class\ntrain/cat/00.png,fox\ntrusted/cat/00.png,fox\n")
        pool = load_pool(config(f"folder:{tmp_path}", noise="given"))
        assert pool.given is not None
        assert torch.bincount(pool.given[pool.targets < 0]).tolist() == [11, 12, 13]
        known = pool.targets >= 0
        assert known.sum() == 12, "a fifth is set aside"
        assert torch.equal(pool.given[known], pool.targets[known]), "a row of a trusted image changes nothing"

    def test_images_of_any_size_and_colour_are_made_one(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "train")
        Image.fromarray(files.pictures(1, 9, 9)[0]).save(tmp_path / "train" / "cat" / "grey.jpg")
        with pytest.raises(DataError, match="expected images of one size, got 6×5 to 9×9; set image_size"):
            load_pool(config(f"folder:{tmp_path}"))
        assert load_pool(config(f"folder:{tmp_path}", image_size=8)).shape == (3, 8, 8)

    def test_that_holds_no_classes_or_no_images_is_refused_in_words(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"to hold train/CLASS .*, or CLASS alone, got an empty folder; correct"):
            load_pool(config(f"folder:{tmp_path}"))
        (tmp_path / "train" / "cat").mkdir(parents=True)
        with pytest.raises(DataError, match="expected images in its folders, got none; add them"):
            load_pool(config(f"folder:{tmp_path}"))

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("train/cat/00.png", "no image", r"00.png: expected an image, got other content; replace or remove it"),
        ],
    )
    def test_with_a_damaged_file_is_refused_in_words(self, tmp_path: Path, name: str, content: str, words: str) -> None:
        write_folder(tmp_path, "train")
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=words):
            load_pool(config(f"folder:{tmp_path}"))


class TestCache:
    def test_a_second_process_reads_no_source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        of = files.npz(tmp_path)
        first = load_pool(of).inputs
        forget_data()
        monkeypatch.setattr("harness.training.data.readers.npz.read", None)
        assert torch.equal(load_pool(of).inputs, first)

    def test_a_changed_file_is_read_anew(self, tmp_path: Path) -> None:
        before = load_pool(files.npz(tmp_path)).inputs
        forget_data()
        of = files.npz(tmp_path, {"x_train": files.pictures(80, 6, 5, 3, seed=8)})
        os.utime(tmp_path / "mine.npz", (1, 1))
        assert not torch.equal(load_pool(of).inputs, before)

    def test_each_command_of_a_process_reads_the_files_as_they_are_then(self, tmp_path: Path) -> None:
        of = files.npz(tmp_path)
        first, before = load_summary(of), load_pool(of)
        files.npz(tmp_path, {"x_train": files.pictures(80, 6, 5, 3, seed=8)})
        assert load_pool(of) is before, "the runs of one command have the same data"
        assert load_summary(of).digest != first.digest
        assert not torch.equal(load_pool(of).inputs, before.inputs)

    def test_what_was_read_stays_one_copy_for_all_runs_of_a_process(self, tmp_path: Path) -> None:
        of = files.npz(tmp_path)
        runs = [Run(of), Run(of.model_copy(update={"seed": 1}))]
        assert runs[0].images.pixels.stored is runs[1].images.pixels.stored

    def test_a_folder_that_cannot_be_written_changes_nothing_but_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert len(load_pool(files.npz(tmp_path))) == 80

    def test_digits_leave_nothing_behind(self, empty_cache: Path) -> None:
        load_pool(RunConfig())
        assert not empty_cache.exists()
