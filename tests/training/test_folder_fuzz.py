"""A hundred random folders of images: what is read are the images, classes and labels that were written, or words.

A mixture is drawn from its number: layout, odd names, endings, modes and depths, links, leftovers of systems, files
that are no images, and a table of given labels in some dialect. What has to come out is counted while it is written.
Every third mixture has a fault, which has to be refused.
"""

import csv
import io
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import load_summary
from harness.training.data.pool import load_pool, load_test
from harness.training.errors import DataError
from tests.training.conftest import forget_data

pytestmark = pytest.mark.usefixtures("empty_cache")

NAMES = [
    *("cat", "Cat 2", "dog", "100%", "ß ünder", "#1?&", "猫", "x" * 120, "-", "it's", 'a "b"', "a,b", "a;b", "0", "10"),
    *("9", "no", "null", "e\N{COMBINING ACUTE ACCENT}te", "naïve", "$HOME", "{}", "~"),
]
PARTS = {
    "training": ("train", "Train", "training"),
    "validation": ("val", "valid", "Validation"),
    "test": ("test", "TEST", "testing"),
}
HIDDEN = (".ipynb_checkpoints/0-checkpoint.png", "._0.png", ".DS_Store", "Thumbs.db", "@eaDir/0.png", ".hidden.txt")
OTHERS = ("notes.txt", "LICENSE", "labels.json", "a.xml", "page.html", "README", "weights.npz")


def grey_of_16_bits(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)


MODES: dict[str, tuple[Callable[[np.ndarray], Image.Image], tuple[str, ...]]] = {
    "grey": (lambda pixels: Image.fromarray(pixels[..., 0]), ("PNG", "TIFF", "BMP", "PPM", "JPEG", "GIF")),
    "RGB": (Image.fromarray, ("PNG", "TIFF", "BMP", "PPM", "JPEG", "GIF", "WEBP")),
    "palette": (lambda pixels: Image.fromarray(pixels).quantize(16), ("PNG", "GIF", "TIFF")),
    "alpha": (lambda pixels: Image.fromarray(np.dstack([pixels, pixels[..., 0]])), ("PNG", "TIFF", "WEBP")),
    "grey and alpha": (lambda pixels: Image.fromarray(pixels).convert("LA"), ("PNG", "TIFF")),
    "black and white": (lambda pixels: Image.fromarray(pixels[..., 0] > 127), ("PNG", "TIFF")),
    "CMYK": (lambda pixels: Image.fromarray(pixels).convert("CMYK"), ("TIFF", "JPEG")),
    "16 bits": (grey_of_16_bits, ("PNG", "TIFF")),
}


@dataclass
class Written:
    """What was written, counted apart from the reader."""

    images: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # part → (class, path in the data set)
    classes: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    given: dict[str, str] | None = None  # path of a training image → class


class Mixture:
    """Writes the data set of a number."""

    def __init__(self, root: Path, elsewhere: Path, number: int) -> None:
        self.root, self.elsewhere = root, elsewhere
        self.random = np.random.default_rng(number)
        self.written = Written()
        self.training = root  # folder of the training part
        self.modes = list(self.random.choice(list(MODES), self.random.integers(1, 5), replace=False))

    def choose(self, items: "list[str] | tuple[str, ...]") -> str:
        return str(items[self.random.integers(len(items))])

    def chance(self, p: float) -> bool:
        return bool(self.random.random() < p)

    def write(self) -> Written:
        names = [str(name) for name in self.random.choice(NAMES, self.random.integers(2, 6), replace=False)]
        self.alone = self.chance(0.25)
        parts = ["training"] if self.alone else ["training", *(p for p in ("validation", "test") if self.chance(0.6))]
        for part in parts:
            folder = self.root if self.alone else self.root / self.choose(PARTS[part])
            if self.chance(0.2) and not self.alone:
                (self.elsewhere / part).mkdir(parents=True)
                folder.symlink_to(self.elsewhere / part)
            self.training = folder if part == "training" else self.training
            self.written.images[part] = []
            for name in names:
                self.write_class(folder, part, name)
            self.litter(folder)
        if self.chance(0.6):
            self.write_given(names)
        return self.written

    def write_class(self, folder: Path, part: str, name: str) -> None:
        spelling = unicodedata.normalize("NFC" if self.chance(0.5) else "NFD", name)
        for number in range(self.random.integers(4, 8)):
            inside = folder / spelling
            stem = self.choose(["", "image ", "é", "50%", "a.b", "#"]) + str(number)
            kind = self.random.random()
            if kind < 0.15:
                inside = inside / "deeper"
            file = inside / (stem + self.choose([".png", ".jpg", ".JPEG", ".tif", "", ".jfif", ".1", ".webp", ".dat"]))
            file.parent.mkdir(parents=True, exist_ok=True)
            if kind > 0.85:
                target = self.elsewhere / f"{part}-{self.random.integers(1 << 30)}"
                self.elsewhere.mkdir(exist_ok=True)
                self.save_image(target)
                file.symlink_to(target)
            else:
                self.save_image(file)
            self.written.images[part].append((unicodedata.normalize("NFC", name), str(file.relative_to(self.root))))
        self.written.classes.add(unicodedata.normalize("NFC", name))
        self.litter(folder / spelling)
        for other in OTHERS:
            if self.chance(0.1):
                (folder / spelling / other).write_text("no image, but some text")
                self.written.left_out[Path(other).suffix or "without ending"] += 1

    def save_image(self, file: Path) -> None:
        make, formats = MODES[self.choose(self.modes)]
        make(self.random.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(file, self.choose(formats))

    def litter(self, folder: Path) -> None:
        for name in HIDDEN:
            if self.chance(0.2):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (4, 4)).save(folder / name, "PNG")
        if self.chance(0.1):
            (folder / "back").symlink_to(self.root)

    def a_training_image(self) -> Path:
        return self.root / self.choose([path for _, path in self.written.images["training"]])

    def write_given(self, names: list[str]) -> None:
        images = self.written.images["training"]
        chosen = [images[i] for i in self.random.permutation(len(images))[: self.random.integers(1, len(images) + 1)]]
        self.written.given = {path: unicodedata.normalize("NFC", self.choose(names)) for _, path in chosen}
        change = self.choose(["none", "none", "backslashes", "dot", "absolute", "other form", "in train"])
        prefix = "" if self.alone else images[0][1].partition("/")[0]
        changes: dict[str, Callable[[str], str]] = {
            "none": str,
            "backslashes": lambda path: path.replace("/", "\\"),
            "dot": lambda path: f"./{path}",
            "absolute": lambda path: f"{self.root}/{path}",
            "other form": lambda path: unicodedata.normalize("NFD", path),
            "in train": lambda path: path.removeprefix(f"{prefix}/") if prefix == "train" else path,
        }
        header = self.choose(["image,class", "Image,Class", "filename,label", "class,image", ""])
        rows = [[changes[change](path), label] for path, label in self.written.given.items()]
        if header == "class,image":
            rows = [row[::-1] for row in rows]
        text = io.StringIO()
        writer = csv.writer(
            text,
            delimiter=self.choose([",", ";", "\t"]),
            lineterminator=self.choose(["\n", "\r\n", "\n\n"]),
            quoting=csv.QUOTE_ALL if not header or self.chance(0.3) else csv.QUOTE_MINIMAL,
        )
        writer.writerows([*([header.split(",")] if header else []), *rows])
        encoding = self.choose(["utf-8", "utf-8-sig", "utf-16"])
        (self.root / "given.csv").write_bytes(text.getvalue().encode(encoding))


def one_image(content: bytes | Image.Image) -> Callable[[Mixture], None]:
    """One training image is another file."""

    def write(mixture: Mixture) -> None:
        file = mixture.a_training_image()
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            content.save(file, "TIFF")

    return write


def one_table(*rows: str) -> Callable[[Mixture], None]:
    """Another table of given labels, in which PATH is a training image."""

    def write(mixture: Mixture) -> None:
        path = str(mixture.a_training_image().relative_to(mixture.root)).replace('"', '""')
        text = "\n".join(["image,class", *rows]).replace("PATH", f'"{path}"')
        (mixture.root / "given.csv").write_bytes(text.encode().replace("\xe9".encode(), b"\xe9"))

    return write


def one_level_down(mixture: Mixture) -> None:
    mixture.root.rename(mixture.root.parent / "inner")
    mixture.root.mkdir()
    (mixture.root.parent / "inner").rename(mixture.root / "inner")


def images_without_classes(mixture: Mixture) -> None:
    mixture.root = mixture.root.parent / "flat"
    mixture.root.mkdir()
    mixture.save_image(mixture.root / "0.png")


def a_second_folder_of_training_images(mixture: Mixture) -> None:
    for name in ("train", "TRAIN"):
        (mixture.root / name / "cat").mkdir(parents=True, exist_ok=True)


def a_part_without_images(mixture: Mixture) -> None:
    (mixture.root / "trusted" / "cat").mkdir(parents=True)


def boxes_to_detect(mixture: Mixture) -> None:
    for name in ("images", "labels"):
        (mixture.training / name).mkdir()


def one_class_alone(mixture: Mixture) -> None:
    kept = mixture.written.images["training"][0][0]
    for folder in [mixture.root, *(child for child in mixture.root.iterdir() if child.is_dir())]:
        for name in mixture.written.classes - {kept}:
            for form in ("NFC", "NFD"):
                shutil.rmtree(folder / unicodedata.normalize(form, name), ignore_errors=True)
    (mixture.root / "given.csv").unlink(missing_ok=True)


def a_name_that_is_no_text(mixture: Mixture) -> None:
    os.mkdir(os.fsencode(mixture.training) + b"/caf\xe9")


NOISE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
PNG = io.BytesIO()
Image.fromarray(NOISE).save(PNG, "PNG")

FAULTS: list[Callable[[Mixture], None]] = [
    one_image(PNG.getvalue()[:900]),
    one_image(PNG.getvalue()),  # of another size
    one_image(b"P6 4 4 65535\n" + bytes(96)),
    one_image(Image.new("F", (4, 4))),
    one_image(Image.new("LAB", (4, 4))),
    one_table("train/cow/0.png,cow"),
    one_table("PATH,a class that is none"),
    one_table("PATH,PATH", "PATH,PATH"),
    one_table("PATH,caf\xe9"),
    one_table('PATH,"cat'),
    one_level_down,
    images_without_classes,
    a_second_folder_of_training_images,
    a_part_without_images,
    boxes_to_detect,
    one_class_alone,
    a_name_that_is_no_text,
]


@pytest.mark.parametrize("number", range(100))
def test_what_was_written_is_read_or_refused_in_words(tmp_path: Path, number: int) -> None:
    (tmp_path / "set").mkdir()
    mixture = Mixture(tmp_path / "set", tmp_path / "elsewhere", number)
    written = mixture.write()
    forget_data()
    if number % 3 == 0:
        FAULTS[number // 3 % len(FAULTS)](mixture)
        with pytest.raises(DataError, match=r"(?s)expected .*got .*[;?]"):
            load_pool(RunConfig(dataset=f"folder:{mixture.root}"))
        return
    config = RunConfig(dataset=f"folder:{mixture.root}")
    summary = load_summary(config)
    parts = {part.name: part for part in summary.parts}
    assert set(summary.class_names) == written.classes
    assert parts.keys() == written.images.keys()
    for name, images in written.images.items():
        counts = Counter(class_name for class_name, _ in images)
        assert parts[name].class_counts == [counts[name] for name in summary.class_names]

    remarks = "\n".join(summary.remarks)
    told = re.search("left out, as no images: (.*)", remarks)
    left_out = [counted.split(" ", 1) for counted in told[1].split(", ")] if told else []
    assert {ending: int(count) for count, ending in left_out} == written.left_out

    training = written.images["training"]
    given = {path: name for name, path in training}
    if written.given is not None:
        given |= written.given
        assert f"given labels of {len(written.given)} of {len(training)} training images" in remarks
        assert parts["training"].given == len(training)
        assert parts["training"].given_wrong == sum(given[path] != name for name, path in training)
    else:
        assert parts["training"].given == 0

    pool, test = load_pool(config), load_test(config)
    if "test" not in written.images:
        assert (len(pool), len(test)) == (len(training) - round(len(training) / 5), round(len(training) / 5))
    elif pool.given is not None:
        names = np.array(pool.class_names)
        pairs = Counter(zip(names[pool.targets], names[pool.given], strict=True))
        assert pairs == Counter((name, given[path]) for name, path in training)
