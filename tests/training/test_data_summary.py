"""The summary of what was read, its digest, and parts that are not on one scale."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import load_summary
from harness.training.data.pool import load_pool
from harness.training.data_summary import DataSummary
from harness.training.errors import DataError
from tests.training import data_files as files
from tests.training.conftest import forget_data

pytestmark = pytest.mark.usefixtures("empty_cache")

PIXELS = files.pictures(80, 6, 5, 3)
BRIGHT = np.full((1, 6, 5, 3), 255, np.uint8)


def npz(folder: Path, **arrays: Any) -> RunConfig:
    """80 training and 40 test images in four classes, with other arrays in place of these; None: without."""
    whole = {
        "x_train": PIXELS, "y_train": files.classes(80, 4),
        "x_test": files.pictures(40, 6, 5, 3, seed=1), "y_test": files.classes(40, 4),
    }  # fmt: skip
    forget_data()
    np.savez(folder / "mine.npz", **{name: array for name, array in {**whole, **arrays}.items() if array is not None})
    return files.config(f"npz:{folder / 'mine.npz'}")


def summary(folder: Path, **arrays: Any) -> DataSummary:
    return load_summary(npz(folder, **arrays))


class TestWhatIsSaid:
    def test_images_classes_shape_range_and_digest_in_lines_of_80_columns(self, tmp_path: Path) -> None:
        data = summary(tmp_path)
        assert data.text.splitlines()[1:] == [
            "  training 80, test 40 images · 4 classes (0, 1, 2, 3) · 6×5×3 uint8 0 to 255",
            f"  digest {data.digest}",
        ]
        digits = load_summary(RunConfig()).text
        assert digits.startswith("data: digits · 1,797 images · a fifth of them is the test part\n")
        assert "10 classes (0, 1, 2, 3, 4 and 5 more) · 8×8 uint8 0 to 16" in digits
        assert all(len(line) <= 80 for line in digits.splitlines())

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({"y_train_given": files.classes(80, 4)}, "given labels for 80, 0 differ from the true class"),
            ({"y_train_given": (files.classes(80, 4) + (np.arange(80) < 9)) % 4}, "80, 9 differ from the true class"),
            ({"y_train_given": files.classes(80, 4), "y_train": np.repeat([-1, 0, 1, 2, 3], 16)}, "unknown of 16"),
            ({"reference_test": np.ones((40, 4))}, "reference labels for 40 test images"),
            ({"y_test": files.classes(40, 3)}, "no test images of 3"),
            ({"x_test": PIXELS[:40]}, "copies: 40 of 40 test images are training images"),
            ({"x_test": np.concatenate([PIXELS[3:5], files.pictures(38, 6, 5, 3, seed=1)])}, "copies: 2 of 40 test"),
            ({"x_train": np.concatenate([PIXELS[:70], PIXELS[:10]])}, "copies: 10 training images equal others"),
            ({"x_test": files.pictures(40, 6, 5, 3, seed=1) // 2}, "uint8 0 to 255, test 0 to 127"),
        ],
    )  # fmt: skip
    def test_labels_absent_classes_copies_and_ranges_by_part(
        self, tmp_path: Path, arrays: dict[str, Any], words: str
    ) -> None:
        assert words in " ".join(summary(tmp_path, **arrays).text.split())

    def test_a_long_remark_of_the_reader_is_wrapped(self, tmp_path: Path) -> None:
        remark = "left out, as no images: " + ", ".join(f"{n} .ending{n}" for n in range(20))
        lines = summary(tmp_path).model_copy(update={"remarks": [remark]}).text.splitlines()
        assert all(len(line) <= 80 for line in lines[1:]), "the first has the path of the file"
        assert remark in " ".join(line.strip() for line in lines)

    def test_it_is_kept_with_the_cached_arrays_and_read_without_torch(self, tmp_path: Path) -> None:
        config = npz(tmp_path)
        load_pool(config)
        program = (
            "import sys; from harness.training.config.run_config import RunConfig\n"
            "from harness.training.data.arrays import load_summary\n"
            "import harness.training.data.readers.npz as npz; npz.read = None\n"
            f"print(load_summary(RunConfig(dataset={config.dataset!r})).digest, 'torch' in sys.modules)"
        )
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert out.split() == [load_summary(config).digest, "False"]


class TestDigest:
    def test_equal_files_have_equal_digests(self, tmp_path: Path) -> None:
        assert summary(tmp_path).digest == summary(tmp_path).digest

    @pytest.mark.parametrize(
        ("arrays", "said"),
        [
            ({"x_train": np.concatenate([PIXELS[:-1], BRIGHT])}, []),
            ({"x_train": PIXELS[::-1]}, []),
            ({"y_train": files.classes(80, 4)[::-1]}, []),
            ({"y_train_given": files.classes(80, 4)}, []),
            ({"reference_test": np.ones((40, 4))}, []),
            ({"x_train": PIXELS[:79], "y_train": files.classes(79, 4)}, ["training images: 80, now 79"]),
            (
                {"x_test": None, "y_test": None},
                ["test images: 40, now 0", "pixels, test part: uint8 0 to 255, now none"],
            ),
            ({"y_test": files.classes(40, 5)}, ["classes: 0, 1, 2, 3, now 0, 1, 2, 3, 4"]),
        ],
        ids=["one image", "order", "classes", "given labels", "reference", "fewer", "no test part", "more classes"],
    )  # fmt: skip
    def test_any_other_content_has_another_and_is_told_in_words(
        self, tmp_path: Path, arrays: dict[str, Any], said: list[str]
    ) -> None:
        before, now = summary(tmp_path), summary(tmp_path, **arrays)
        assert now.changes_from(before) == [*said, f"digest: {before.digest}, now {now.digest}"]
        assert before.changes_from(before) == []


class TestScale:
    @pytest.mark.parametrize(
        ("train", "test", "got"),
        [
            (PIXELS, PIXELS[:40] / 255, "uint8 0 to 255 and float32 0 to 1"),
            (PIXELS / 255, PIXELS[:40], "float32 0 to 1 and uint8 0 to 255"),
            (PIXELS / 255, PIXELS[:40].astype(float), "float32 0 to 1 and float32 0 to 255"),
            (PIXELS, PIXELS[:40] // 128, "uint8 0 to 255 and uint8 0 to 1"),
            (PIXELS / 127.5 - 1, PIXELS[:40] / 255, "float32 -1 to 1 and float32 0 to 1"),
            (PIXELS / 255, PIXELS[:40] / 127.5 - 1, "float32 0 to 1 and float32 -1 to 1"),
            (PIXELS, PIXELS[:40] + 0.5, "uint8 0 to 255 and float32 0.5 to 255.5"),
            (PIXELS, PIXELS[:40].astype(np.int64) - 1, "uint8 0 to 255 and float32 -1 to 254"),
            (PIXELS, PIXELS[:40].astype(np.int64) // 128, "uint8 0 to 255 and uint8 0 to 1"),
            (PIXELS, PIXELS[:40].astype(np.uint16) * 257, "uint8 0 to 255 and float32 0 to 6.554e.04"),
        ],
    )
    def test_parts_of_other_types_or_scales_are_refused(self, tmp_path: Path, train: Any, test: Any, got: str) -> None:
        with pytest.raises(DataError, match=f"expected training and test images of one type and scale, got {got}; "):
            load_pool(npz(tmp_path, x_train=train, x_test=test))

    @pytest.mark.parametrize("kind", [np.int64, np.uint16, np.float64])
    @pytest.mark.parametrize("name", ["x_train", "x_test"])
    def test_whole_numbers_of_the_range_of_bytes_are_bytes_beside_a_part_of_bytes(
        self, tmp_path: Path, kind: type, name: str
    ) -> None:
        bytes_alone = summary(tmp_path, x_test=PIXELS[:40])
        mixed = summary(
            tmp_path, **{"x_test": PIXELS[:40], name: PIXELS[: 40 if name == "x_test" else 80].astype(kind)}
        )
        assert mixed.digest == bytes_alone.digest
        both = summary(tmp_path, x_train=PIXELS.astype(kind), x_test=PIXELS[:40].astype(kind))
        assert [part.dtype for part in both.parts] == ["float32", "float32"], "as ever where all parts are alike"

    def test_vectors_of_two_precisions_are_read_in_the_larger(self, tmp_path: Path) -> None:
        vectors = np.random.default_rng(0).normal(size=(120, 5)).astype(np.float16)
        data = summary(tmp_path, x_train=vectors[:80], x_test=vectors[80:].astype(np.float32))
        assert [part.dtype for part in data.parts] == ["float32", "float32"]

    @pytest.mark.parametrize(
        "test",
        [
            np.concatenate([PIXELS[:39] // 2, BRIGHT]),
            PIXELS[:40] // 4,
            128 + PIXELS[:40] // 2,
        ],
        ids=["one bright image", "dark", "bright"],
    )
    def test_darker_and_brighter_parts_are_not(self, tmp_path: Path, test: Any) -> None:
        assert len(load_pool(npz(tmp_path, x_test=test))) == 80
