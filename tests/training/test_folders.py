"""Folders of images as people have them: links, leftovers of systems and programs, layouts, images of any ending."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.training.config.checks import check_config
from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import load_summary
from harness.training.data.images import Images
from harness.training.data.pool import load_pool, load_test
from harness.training.data.splits import count_trainable, load_splits
from harness.training.errors import DataError
from harness.training.run import Run
from tests.training import data_files as files
from tests.training.conftest import forget_data
from tests.training.run_helpers import epochs

pytestmark = pytest.mark.usefixtures("empty_cache")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder for a data set."""
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


def save(path: Path, level: int = 0, image_format: str | None = None) -> Path:
    """A grey image of 2×2 pixels of one level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2), level).save(path, image_format)
    return path


def save_classes(folder: Path, first: int = 0, count: int = 4) -> None:
    """Images of two classes, each with a level of its own from `first` on."""
    for c, name in enumerate(("cat", "dog")):
        for i in range(count):
            save(folder / name / f"{i}.png", first + c * count + i)


def config(folder: Path, **settings: object) -> RunConfig:
    forget_data()
    return files.config(f"folder:{folder}", **{"meta_size": 2, "val_size": 2, **settings})


def levels(images: Images) -> list[int]:
    """The level of each image."""
    return images.pixels.stored[images.index, 0, 0, 0].int().tolist()


def remarks(folder: Path) -> str:
    return "\n".join(load_summary(config(folder)).remarks)


class TestWalk:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        save_classes(tmp_path / "data" / "train")
        save_classes(tmp_path / "data" / "test", 100)
        return tmp_path / "data"

    def test_follows_links_to_files_and_folders(self, data: Path, tmp_path: Path) -> None:
        (data / "train").rename(tmp_path / "elsewhere")
        (data / "train").symlink_to(tmp_path / "elsewhere")
        save(tmp_path / "more" / "deep" / "a.png", 10)
        (data / "train" / "cat" / "more").symlink_to(tmp_path / "more")
        (data / "train" / "dog" / "linked.png").symlink_to(save(tmp_path / "single.png", 11))
        pool = load_pool(config(data))
        assert levels(pool) == [0, 1, 2, 3, 10, 4, 5, 6, 7, 11]
        assert pool.targets.tolist() == [0] * 5 + [1] * 5

    @pytest.mark.parametrize("target", [".", "..", "../..", "/", "round/about"])
    def test_ends_where_links_lead_back(self, data: Path, tmp_path: Path, target: str) -> None:
        if target == "round/about":
            (tmp_path / "round").mkdir()
            (tmp_path / "round" / "about").symlink_to(tmp_path / "round")
            target = str(tmp_path / "round")
        (data / "train" / "cat" / "back").symlink_to(target)
        assert levels(load_pool(config(data))) == list(range(8))

    @pytest.mark.parametrize("link", ["train/cow", "test", "train"])
    def test_a_link_of_a_class_or_a_part_that_leads_nowhere_is_refused(self, data: Path, link: str) -> None:
        shutil.rmtree(data / link, ignore_errors=True)
        (data / "notes.txt").symlink_to("/nowhere/notes.txt")
        assert not link.startswith("train/") or check_config(config(data)) == [], "a link of a file is none of them"
        (data / link).symlink_to("/nowhere")
        words = f"expected a folder, got {data / link}, a link to /nowhere, which is not there; mount or restore that"
        assert words in str(check_config(config(data)))

    def test_ignores_what_systems_and_programs_leave(self, data: Path) -> None:
        for part in (data, data / "train", data / "train" / "cat"):
            for name in (".ipynb_checkpoints", ".git", "__MACOSX", "@eaDir", "__pycache__", "$RECYCLE.BIN"):
                save(part / name / "cat" / "0-checkpoint.png", 200)
            for name in (".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r"):
                (part / name).write_bytes(b"\0\0\0\1Bud1")
            save(part / "._0.png", 201)
        os.mkfifo(data / "train" / "cat" / "pipe.png")  # opening it would wait for ever
        summary = load_summary(config(data))
        assert levels(load_pool(config(data))) == list(range(8))
        assert (summary.class_names, summary.remarks) == (["cat", "dog"], [])

    def test_numbers_name_classes_in_their_order(self, root: Path) -> None:
        for c in range(12):
            save(root / "train" / str(c) / "a.png", c)
            save(root / "test" / str(c) / "a.png", 100 + c)
        pool = load_pool(config(root))
        assert pool.class_names == tuple(map(str, range(12)))
        assert pool.targets.tolist() == levels(pool)

    def test_takes_odd_names(self, tmp_path: Path) -> None:
        names = ["a b", "100%", "ß ünder", "#1?&", "猫", "x" * 200, "back\\slash", "-", "'\""]
        for c, name in enumerate(names):
            save(tmp_path / "a set" / name / f"{name}.png", c)
            save(tmp_path / "a set" / name / "2" / f"{name} (1).png", c + 100)
        of = config(tmp_path / "a set")
        pool, test = load_pool(of), load_test(of)
        assert set(pool.class_names) == set(names)
        for images in (pool, test):
            assert [names[level % 100] for level in levels(images)] == [pool.class_names[c] for c in images.targets]

    def test_files_whose_names_are_no_text_are_read(self, data: Path) -> None:
        inside = os.fsencode(data / "train" / "cat") + b"/caf\xe9"
        os.mkdir(inside)
        for name in (b"/\xff.png", b"/notes.\xe9"):
            os.rename(os.fsencode(save(data / "new.png", 9)), inside + name)
        (data / "train" / "dog" / os.fsdecode(b"text.\xe9")).write_text("text")
        assert levels(load_pool(config(data))) == [0, 1, 2, 3, 9, 9, 4, 5, 6, 7]
        assert remarks(data) == "left out, as no images: 1 .\\xe9"

    def test_names_that_are_no_text_are_refused_in_words(self, data: Path) -> None:
        os.rename(os.fsencode(data / "train" / "cat"), os.fsencode(data / "train") + b"/caf\xe9")
        with pytest.raises(DataError, match=r"expected folders named in UTF-8, got .*caf\\xe9.*; rename it"):
            load_pool(config(data))


class TestCache:
    def test_of_a_linked_folder_holds_what_the_link_leads_to_now(self, tmp_path: Path) -> None:
        disk, data = tmp_path / "disk", tmp_path / "data"
        save_classes(disk / "train", count=6)
        save_classes(data / "test", 100)
        (data / "train").symlink_to(disk / "train")
        assert levels(load_pool(config(data))) == list(range(12))
        for i in range(3):
            (disk / "train" / "cat" / f"{i}.png").unlink()
        times = (disk / "train" / "dog" / "5.png").stat()
        save(disk / "train" / "dog" / "5.png", 12)
        os.utime(disk / "train" / "dog" / "5.png", ns=(times.st_atime_ns, times.st_mtime_ns))
        assert levels(load_pool(config(data))) == [3, 4, 5, 6, 7, 8, 9, 10, 12]

    def test_is_not_used_where_a_link_has_come_to_lead_nowhere(self, tmp_path: Path) -> None:
        save_classes(tmp_path / "train")
        save_classes(tmp_path / "test", 100)
        load_pool(config(tmp_path))
        (tmp_path / "train" / "cat" / "9.png").symlink_to(tmp_path / "unmounted" / "9.png")
        with pytest.raises(DataError, match=r"cat/9.png: expected an image, got the error: .*No such file"):
            load_pool(config(tmp_path))

    def test_is_used_as_long_as_nothing_changes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        save_classes(tmp_path / "train")
        save_classes(tmp_path / "test", 100)
        load_pool(config(tmp_path))
        (tmp_path / "train" / "cat" / ".DS_Store").write_text("new")
        monkeypatch.setattr("harness.training.data.readers.folder.read", None)
        assert len(load_pool(config(tmp_path))) == 8
        (tmp_path / "train" / "cat").rename(tmp_path / "train" / "lynx")
        with pytest.raises(TypeError):
            load_pool(config(tmp_path))


class TestWhatIsAnImage:
    @pytest.mark.parametrize("name", ["a.jfif", "b.JPG", "c", "d.png.1", "e.dat", "f.jpe", "g.image"])
    def test_its_content_says(self, root: Path, name: str) -> None:
        save_classes(root)
        save(root / "cat" / name, 99, "PNG")
        of = config(root)
        assert 99 in levels(load_pool(of)) + levels(load_test(of))

    def test_what_is_none_is_left_out_and_counted_by_ending(self, root: Path) -> None:
        save_classes(root)
        for name in ("notes.txt", "a.TXT", "b.txt", "labels.csv", "LICENSE", "weights.h5", "figure.eps", "film.mpg"):
            (root / "cat" / name).write_bytes(b"some text")
        (root / "cat" / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90))
        (root / "cat" / "figure.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
        (root / "dog" / "film.mpg").write_bytes(b"\0\0\1\xb3" + bytes(90))
        assert len(load_pool(config(root))) == 6
        assert remarks(root) == ("left out, as no images: 3 .txt, 2 .mpg, 1 .csv, 1 .eps, 1 .h5, 1 without ending")

    def test_images_that_are_in_no_class_and_folders_without_images_are_told(self, root: Path) -> None:
        save_classes(root / "train")
        save_classes(root / "test", 100)
        save(root / "train" / "lost.png")
        (root / "train" / "fox").mkdir()
        (root / "annotations").mkdir()
        flat(root / "val")
        assert remarks(root).splitlines() == [
            f"left out: folders in {root} that are no part, or hold none of classes: annotations, val",
            f"left out: 1 image that is in no folder of a class, in {root / 'train'}",
            "folders without images, which are no classes: fox",
        ]

    @pytest.mark.parametrize("name", ["cut.png", "cut.jpeg", "empty.gif", "text.bmp", "link.png", "cut.unknown"])
    def test_a_broken_one_is_an_error_that_names_it(self, root: Path, name: str) -> None:
        save_classes(root)
        broken = root / "dog" / name
        if name == "link.png":
            broken.symlink_to("nowhere")
        elif name.startswith("cut"):
            noise = Image.fromarray(files.pictures(1, 40, 40)[0])
            noise.save(broken, "JPEG" if name == "cut.jpeg" else "PNG")
            broken.write_bytes(broken.read_bytes()[:900])
        else:
            broken.write_text("" if name == "empty.gif" else "text")
        with pytest.raises(DataError, match=rf"dog/{name}: expected an image, got .*; replace or remove it"):
            load_pool(config(root))

    def test_all_broken_ones_are_counted_at_once(self, root: Path) -> None:
        save_classes(root)
        for i in range(3):
            (root / "cat" / f"{i}.png").write_text("text")
        with pytest.raises(DataError, match=r"cat/0.png: expected an im.*remove it \(as .*cat/1.png, .*cat/2.png\)$"):
            load_pool(config(root))

    def test_too_many_pixels_are_refused_by_a_setting(self, root: Path) -> None:
        save_classes(root)
        Image.new("1", (300, 200)).save(root / "dog" / "large.png")
        for limit in (1000, 50_000):  # PIL raises an error for the one, a warning for the other
            with pytest.raises(
                DataError, match=f"large.png: expected an image of at most {limit:,} pixels.*max_image_"
            ):
                load_pool(config(root, max_image_pixels=limit, image_size=2))
        assert len(load_pool(config(root, max_image_pixels=60_000, image_size=2))) == 7


class TestValidationPart:
    @pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
    @pytest.mark.parametrize("with_test", [True, False])
    def test_is_drawn_from_its_own_folder(self, root: Path, name: str, with_test: bool) -> None:
        save_classes(root / "Train", 0, count=10)
        save_classes(root / name, 100, count=5)
        if with_test:
            save_classes(root / "test", 200)
        of = config(root, meta_size=4, val_size=6)
        drawn = [load_splits(of.model_copy(update={"seed": seed})) for seed in (0, 0, 1)]
        for parts in drawn:
            assert len(parts.val) == 6
            assert set(levels(parts.val)) <= set(range(100, 110))
            assert torch.bincount(parts.val.targets).tolist() == [3, 3]
            assert len(parts.train) == count_trainable(of)
            assert sorted(levels(parts.meta) + levels(parts.train)) == sorted(levels(load_pool(of)))
        assert len(load_pool(of)) == (20 if with_test else 16)
        assert len(load_test(of)) == (8 if with_test else 4)
        assert levels(drawn[0].val) == levels(drawn[1].val) != levels(drawn[2].val)
        assert epochs(Run(of), 1)[0]["val_accuracy"] >= 0

    def test_beside_trusted_images_leaves_them_to_the_meta_set(self, root: Path) -> None:
        for first, part in ((0, "train"), (50, "trusted"), (100, "val")):
            save_classes(root / part, first, count=10)
        parts = load_splits(config(root, noise="given", meta_size=6, val_size=6))
        assert min(levels(parts.val)) >= 100
        assert 50 <= min(levels(parts.meta)) <= max(levels(parts.meta)) < 70
        assert set(range(20)) <= set(levels(parts.train))

    def test_smaller_than_asked_is_refused_in_words(self, root: Path) -> None:
        save_classes(root / "train", count=10)
        save_classes(root / "val", 100, count=5)
        with pytest.raises(DataError, match=r"val_size: expected at most the 10 validation images .*, got 11; make it"):
            load_splits(config(root, meta_size=4, val_size=11))
        with pytest.raises(DataError, match=r"meta_size 15: .* 16 images besides its validation and test part"):
            load_splits(config(root, meta_size=15, val_size=6))

    def test_is_standardised_as_the_training_images_are(self, root: Path) -> None:
        save_classes(root / "train", count=10)
        save_classes(root / "val", count=10)
        parts = load_splits(config(root, meta_size=4, val_size=20))
        pool = load_pool(config(root))
        mean, std = pool.pixels.mean.item(), pool.pixels.std.item()
        expected = (torch.tensor(levels(parts.val)) - mean) / std
        assert torch.allclose(parts.val.inputs[:, 0, 0, 0], expected)


def flat(folder: Path) -> None:
    for i in range(3):
        save(folder / f"{i}.png")


def yolo(folder: Path) -> None:
    for part in ("train", "val"):
        save(folder / "images" / part / "a.png")
        (folder / "labels" / part).mkdir(parents=True)
        (folder / "labels" / part / "a.txt").write_text("0 0.5 0.5 1 1\n")


def oxford_pets(folder: Path) -> None:
    flat(folder / "images")
    flat(folder / "annotations" / "trimaps")


def roboflow(folder: Path) -> None:
    save(folder / "train" / "images" / "a.png")
    (folder / "train" / "labels").mkdir()


class TestLayout:
    @pytest.mark.parametrize(
        ("parts", "sizes"),
        [
            (("train", "test"), (8, 8)),
            (("Train", "TEST"), (8, 8)),
            (("Training", "Testing"), (8, 8)),
            (("train", "val"), (6, 2)),
            (("train", "valid", "test"), (8, 8)),
            (("train",), (6, 2)),
            ((".",), (6, 2)),
        ],
    )
    def test_of_torchvision_keras_and_ultralytics_is_read(
        self, root: Path, parts: tuple[str, ...], sizes: tuple[int, int]
    ) -> None:
        for number, part in enumerate(parts):
            save_classes(root / part, 50 * number)
        of = config(root)
        assert (len(load_pool(of)), len(load_test(of))) == sizes
        assert load_pool(of).class_names == ("cat", "dog")

    @pytest.mark.parametrize(
        ("write", "words"),
        [
            (flat, "got 3 files and no folders; correct the path, or move the images"),
            (lambda folder: None, "or CLASS alone, got an empty folder; correct the path"),
            (Path.rmdir, "or CLASS alone, got nothing there; correct the path"),
            (lambda folder: (folder.rmdir(), folder.touch()), "or CLASS alone, got a file; correct the path"),
            (lambda folder: flat(folder / "train"), "expected folders of classes in .*train, got none; move the im"),
            (lambda folder: (flat(folder / "train"), flat(folder / "test")), "expected folders of classes in .*test"),
            (lambda folder: save_classes(folder / "test"), "expected train/CLASS beside test in .*, got none; add it"),
            (lambda folder: (save_classes(folder / "train"), save_classes(folder / "Train")), "got Train and train; j"),
            (yolo, "got images beside labels in .*set, a layout for the detection of objects"),
            (roboflow, "got images beside labels in .*train, a layout for the detection of objects"),
            (oxford_pets, "got images beside annotations in .*set, a layout for the detection of objects"),
            (lambda folder: save_classes(folder / "data" / "train"), "a data set; did you mean folder:.*/data?"),
            (lambda folder: [flat(folder / name / part) for name in "abcd" for part in ("train", "test")],
             "expected classes inside parts in .*, got a/train; move its images to train/a"),
            (lambda folder: [save_classes(folder / name / "train") for name in "abcd"], "a, which holds a data set; d"),
            (lambda folder: save_classes(folder / "pets"), "pets, which holds folders alone; did you mean fol.*/pets?"),
            (lambda folder: save_classes(folder / "train" / "pets"), "pets, which holds folders alone; did you mean"),
            (lambda folder: save_classes(folder / "train" / "train"), "train, which holds folders alone; did you mean"),
            (lambda folder: (folder / "train" / "cat").mkdir(parents=True), "expected images in its folders, got none"),
            (lambda folder: (save_classes(folder / "train"), (folder / "val" / "cat").mkdir(parents=True)),
             "val: expected images in its folders, got none; add them, or remove the folder"),
        ],
    )  # fmt: skip
    def test_of_no_data_set_is_refused_in_words(self, root: Path, write: Callable[[Path], object], words: str) -> None:
        write(root)
        with pytest.raises(DataError, match=words):
            load_pool(config(root))

    def test_is_checked_before_torch_is_imported(self, root: Path) -> None:
        flat(root)
        [problem] = check_config(config(root))
        assert problem.endswith("or CLASS alone, got 3 files and no folders; correct the path, or move the images")

    def test_a_folder_that_cannot_be_listed_is_refused_in_words(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save_classes(root)

        def deny(folder: str) -> None:
            raise PermissionError(13, "Permission denied", str(folder))

        monkeypatch.setattr(os, "scandir", deny)  # root may list any
        with pytest.raises(
            DataError, match=r"expected a folder that can be listed, got the error: .*Permission denied"
        ):
            load_pool(config(root))
