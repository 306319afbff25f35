"""A user's own data in a folder of images.

folder:DIR   train/CLASS/*, test/CLASS/*   or DIR/CLASS/* alone: a fifth is set aside
             val/CLASS/*                   optional: the validation part is drawn from these images alone
             trusted/CLASS/*               optional: images with clean labels; the classes of train/ are then noisy
                                           labels, and their true classes unknown
             given.csv, reference.csv      optional: labels in tables, see `label_tables`; a class in given.csv
                                           stands in place of that of the folder in train/

`image_listing` says which files belong to which part and class, `image_files` what is an image and how it is read.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.common.formatting import format_list
from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import doubtful_names, normalized, sort_names
from harness.training.data.readers.formats.image_files import read_images
from harness.training.data.readers.formats.image_listing import (
    FolderLayout,
    class_folders,
    find_layout,
    list_files,
    printable,
)
from harness.training.data.readers.formats.label_tables import (
    ImagePaths,
    find_table,
    is_nearly,
    other_tables,
    read_given,
    read_references,
)
from harness.training.data.readers.raw_part import UNKNOWN, RawDataset, RawPart, checked_part
from harness.training.data.readers.reader import user_path
from harness.training.errors import DataError


def problems(config: RunConfig) -> list[str]:
    folder = user_path(config)
    try:
        parts = find_layout(folder).parts
        given = find_table(folder, "given")
    except DataError as error:
        return [str(error)]
    if config.noise == "given" and given is None and "trusted" not in parts:
        near = [file for file in _tables_not_read(folder, parts.values()) if is_nearly(file, "given")]
        got = f"{near[0]}; save it as given.csv in {folder}" if near else "neither; add one"
        return [f"noise: expected {folder / 'given.csv'} or {folder / 'trusted'}, got {got}"]
    return []


def files(config: RunConfig) -> Iterable[Path]:
    folder = user_path(config)
    layout = find_layout(folder)
    tables = [*_tables(folder), *_tables_not_read(folder, layout.parts.values())]
    return [*(table for table in tables if table), *(file.path for file in list_files(layout))]


def read(config: RunConfig) -> RawDataset:
    folder = user_path(config)
    layout = find_layout(folder)
    files = list_files(layout)
    pictures = read_images(str(folder), [file.path for file in files], config.image_size, config.max_image_pixels)
    listed = [files[index] for index in pictures.kept]
    rows = {part: [row for row, file in enumerate(listed) if file.part == part] for part in layout.parts}
    for part, part_folder in layout.parts.items():
        if not rows[part]:
            raise DataError(f"{part_folder}: expected images in its folders, got none; add them, or remove the folder")
    names = sort_names(file.class_name for file in listed)
    classes = {name: c for c, name in enumerate(names)}
    paths = [printable(file.path.relative_to(folder)) for file in listed]
    given_file, reference_file = _tables(folder)
    given, reference = None, {}
    if given_file or reference_file:
        by_path = ImagePaths(folder, layout.parts["train"], paths)
    if given_file:
        training = [paths[row] for row in rows["train"]]
        given = read_given(given_file, by_path, training, names, config.require_given_labels)
    if reference_file:
        reference = read_references(reference_file, by_path, names)

    def make_part(*members: str) -> RawPart:
        chosen = [row for name in members for row in rows.get(name, [])]
        keys = [paths[row] for row in chosen]
        truth, noisy = np.array([classes[normalized(listed[row].class_name)] for row in chosen]), None
        if "trusted" in members and "trusted" in layout.parts:
            noisy, truth = truth, np.where([listed[row].part == "trusted" for row in chosen], truth, UNKNOWN)
        if "train" in members and given is not None:
            noisy = truth if noisy is None else noisy
            noisy = np.array([given.classes.get(key, c) for key, c in zip(keys, noisy, strict=True)])
        soft = [reference[key] for key in keys if key in reference]
        if missing := [key for key in keys if soft and key not in reference]:
            raise DataError(
                f"{reference_file}: expected a row for each of {len(keys)} images of {members[0]}, got none for "
                f"{format_list(missing, 2)}; add them"
            )
        images = pictures.images[chosen[0] : chosen[-1] + 1]  # no copy: parts follow each other, trusted after train
        part = checked_part(str(folder), images, truth, len(names), noisy, np.array(soft) if soft else None)
        return replace(part, paths=np.array([key.encode() for key in keys]))

    spellings = {file.class_name for file in listed}
    remarks = [*layout.remarks, *pictures.remarks, *_empty_folders(layout, spellings), *doubtful_names(spellings)]
    if others := _tables_not_read(folder, layout.parts.values()):
        named = format_list(printable(file.relative_to(folder)) for file in others)
        remarks.append(f"tables that are not read: {named}; labels are read from given.csv and reference.csv alone")
    remarks += given.remarks if given else ()
    validation, test = (make_part(part) if part in layout.parts else None for part in ("validation", "test"))
    return RawDataset(make_part("train", "trusted"), test, names, validation, tuple(remarks))


def _tables(folder: Path) -> tuple[Path | None, Path | None]:
    """The tables of given and of reference labels."""
    return find_table(folder, "given"), find_table(folder, "reference")


def _tables_not_read(folder: Path, parts: Iterable[Path]) -> list[Path]:
    """Other tables beside the parts, or beside the classes of one."""
    return other_tables(dict.fromkeys((folder, *parts)), _tables(folder))


def _empty_folders(layout: FolderLayout, names: set[str]) -> list[str]:
    """A sentence on folders in the place of classes that hold no image in any part."""
    empty = {name for folder in layout.parts.values() for name in class_folders(folder)} - names
    return [f"folders without images, which are no classes: {format_list(sorted(empty))}"] if empty else []
