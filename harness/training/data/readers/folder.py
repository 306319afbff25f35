"""A user's own data in a folder of images.

folder:DIR   train/CLASS/*, test/CLASS/*   or DIR/CLASS/* alone: a fifth is set aside
             trusted/CLASS/*               optional: images with clean labels; the classes of train/ are then noisy
                                           labels, and their true classes unknown
             given.csv, reference.csv      optional: labels in tables, see `label_tables`
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from harness.common.formatting import format_list
from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import doubtful_names, normalized, sort_names
from harness.training.data.readers.label_tables import ImagePaths, find_table, read_given, read_references
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
    given = find_table(folder, "given")
    if given is not None and "trusted" in parts:
        return [f"dataset: expected {given} or {folder / 'trusted'}, got both: two kinds of noisy labels; remove one"]
    if config.noise == "given" and given is None and "trusted" not in parts:
        return [f"noise: expected {folder / 'given.csv'} or {folder / 'trusted'}, got neither; add one"]
    return []


def files(config: RunConfig) -> Iterable[Path]:
    return user_path(config).rglob("*")


def read(config: RunConfig) -> RawDataset:
    folder = user_path(config)
    parts = _part_folders(folder)
    spellings = {name for part in parts.values() for name in _class_names(part)}
    names = sort_names(spellings)
    images = {name: _list_images(part, names) for name, part in parts.items()}
    paths = {name: [file.relative_to(folder).as_posix() for file, _ in listed] for name, listed in images.items()}
    given_file, reference_file = find_table(folder, "given"), find_table(folder, "reference")
    given, reference = None, {}
    if given_file or reference_file:
        by_path = ImagePaths(folder, [path for each in paths.values() for path in each])
    if given_file:
        given = read_given(given_file, by_path, paths["train"], names, config.require_given_labels)
    if reference_file:
        reference = read_references(reference_file, by_path, names)

    def make_part(*members: str) -> RawPart:
        listed = [(name, *image) for name in members for image in images.get(name, [])]
        keys = [key for name in members for key in paths.get(name, [])]
        truth, noisy = np.array([c for _, _, c in listed]), None
        if "trusted" in members and "trusted" in parts:
            noisy, truth = truth, np.where([name == "trusted" for name, _, _ in listed], truth, UNKNOWN)
        elif "train" in members and given is not None:
            noisy = np.array([given.classes.get(key, c) for key, c in zip(keys, truth, strict=True)])
        rows = [reference[key] for key in keys if key in reference]
        if missing := [key for key in keys if rows and key not in reference]:
            raise DataError(
                f"{reference_file}: expected a row for each image of {' and '.join(members)}, got none for "
                f"{format_list(missing, 2)}; add them"
            )
        pixels = stack_images(str(folder), [_pixels(file, config.image_size) for _, file, _ in listed])
        return checked_part(str(folder), pixels, truth, len(names), noisy, np.array(rows) if rows else None)

    remarks = (*doubtful_names(spellings), *(given.remarks if given else ()))
    return RawDataset(
        make_part("train", "trusted"), make_part("test") if "test" in parts else None, names, remarks=remarks
    )


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
        (file, names.index(normalized(name)))
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
