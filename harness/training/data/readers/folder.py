"""A user's own data in a folder of images.

folder:DIR   train/CLASS/*, test/CLASS/*   or DIR/CLASS/* alone: a fifth is set aside
             trusted/CLASS/*               optional: images with clean labels; the classes of train/ are then noisy
                                           labels, and their true classes unknown
             given.csv                     optional: image,class: noisy labels of training images
             reference.csv                 optional: image,CLASS,CLASS,…: soft labels or counts
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from harness.training.config.run_config import RunConfig
from harness.training.data.readers.raw_part import (
    UNKNOWN,
    Array,
    RawDataset,
    RawPart,
    checked_part,
    image_array,
    stack_images,
)
from harness.training.data.readers.reader import user_path
from harness.training.errors import DataError

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


def problems(config: RunConfig) -> list[str]:
    folder = user_path(config)
    parts = _part_folders(folder)
    if not parts:
        return [
            f"dataset: expected {folder} to hold train/CLASS and perhaps test/CLASS, or CLASS alone, got neither; "
            "correct the path, or move the images"
        ]
    if config.noise == "given" and "trusted" not in parts and not (folder / "given.csv").is_file():
        return [f"noise: expected {folder / 'given.csv'} or {folder / 'trusted'}, got neither; add one"]
    return []


def files(config: RunConfig) -> Iterable[Path]:
    return user_path(config).rglob("*")


def read(config: RunConfig) -> RawDataset:
    folder = user_path(config)
    parts = _part_folders(folder)
    names = sorted({name for part in parts.values() for name in _class_names(part)})
    given = _read_given(folder / "given.csv", names)
    reference = _read_references(folder / "reference.csv", names)

    def make_part(*members: str) -> RawPart:
        listed = [(name, *image) for name in members if name in parts for image in _list_images(parts[name], names)]
        keys = [file.relative_to(folder).as_posix() for _, file, _ in listed]
        truth, noisy = np.array([c for _, _, c in listed]), None
        if "trusted" in members and "trusted" in parts:
            noisy, truth = truth, np.where([name == "trusted" for name, _, _ in listed], truth, UNKNOWN)
        elif "train" in members and (folder / "given.csv").exists():
            noisy = np.array([given.get(key, c) for key, c in zip(keys, truth, strict=True)])
        rows = [reference[key] for key in keys if key in reference]
        if rows and len(rows) < len(keys):
            missing = next(key for key in keys if key not in reference)
            raise DataError(
                f"{folder / 'reference.csv'}: expected a row for each image, got none for {missing}; add it"
            )
        images = stack_images(str(folder), [_pixels(file, config.image_size) for _, file, _ in listed])
        return checked_part(str(folder), images, truth, len(names), noisy, np.array(rows) if rows else None)

    return RawDataset(make_part("train", "trusted"), make_part("test") if "test" in parts else None, tuple(names))


def _part_folders(folder: Path) -> dict[str, Path]:
    """The parts train, test and trusted that are there; or the folder itself as train; or none."""
    parts = {name: folder / name for name in ("train", "test", "trusted") if _class_names(folder / name)}
    if "train" in parts:
        return parts
    return {"train": folder} if _class_names(folder) else {}


def _class_names(part: Path) -> list[str]:
    return sorted(each.name for each in part.iterdir() if each.is_dir()) if part.is_dir() else []


def _list_images(part: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    """The images of a part, each with its class."""
    found = [
        (file, names.index(name))
        for name in _class_names(part)
        for file in sorted((part / name).rglob("*"))
        if file.suffix.lower() in IMAGE_ENDINGS
    ]
    if not found:
        raise DataError(f"{part}: expected images in its folders, got none; add them, or remove the folder")
    return found


def _pixels(file: Path, size: int) -> Array:
    from PIL import Image  # ships with torchvision; only folders need it

    try:
        with Image.open(file) as image:
            return image_array(image, size)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{file}: expected an image, got the error: {error}; replace or remove it") from error


def _read_rows(file: Path) -> list[list[str]]:
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            return [row for row in csv.reader(opened) if row]
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: expected text in UTF-8, got the error: {error}; save it so") from error


def _read_given(file: Path, names: Sequence[str]) -> dict[str, int]:
    """Image → its noisy class."""
    given = {}
    for line, row in enumerate(_read_rows(file), start=1):
        if row == ["image", "class"]:
            continue
        if len(row) != 2 or row[1] not in names:
            raise DataError(
                f"{file}:{line}: expected image,class with a class of {', '.join(names)}, got {','.join(row)}"
            )
        given[row[0]] = names.index(row[1])
    return given


def _read_references(file: Path, names: Sequence[str]) -> dict[str, list[float]]:
    """Image → its soft label or counts, in the order of `names`."""
    if not file.exists():
        return {}
    head, *rows = _read_rows(file) or [[]]
    if sorted(head[1:]) != sorted(names):
        raise DataError(f"{file}:1: expected image,{','.join(names)}, got {','.join(head)}; name each class once")
    columns = [head.index(name) for name in names]
    references = {}
    for line, row in enumerate(rows, start=2):
        try:
            references[row[0]] = [float(row[column]) for column in columns]
        except (ValueError, IndexError):
            raise DataError(
                f"{file}:{line}: expected {len(names)} numbers after the image, got {','.join(row)}"
            ) from None
    return references
