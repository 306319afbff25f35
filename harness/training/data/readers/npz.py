"""A user's own data in an npz file.

npz:FILE   x_train [N, height, width] or [N, height, width, channels], y_train [N]: true classes, -1 where unknown
           x_val, y_val and x_test, y_test    optional; without a test part a fifth is set aside
           GIVEN_LABELS [N]                   optional: noisy labels of x_train, by the key of that setting
           REFERENCE_LABELS_train, …_test     optional: [N, classes] soft labels or counts, to compare with

Labels are indices of classes, or names, "" where unknown; `label_arrays` says in which forms.
"""

import zipfile
import zlib
from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np

from harness.common.formatting import format_list
from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import doubtful_names
from harness.training.data.readers.formats.label_arrays import encode_labels
from harness.training.data.readers.raw_part import Array, RawDataset, RawPart, checked_part
from harness.training.data.readers.reader import user_path
from harness.training.errors import DataError

PARTS = ("train", "val", "test")


def problems(config: RunConfig) -> list[str]:
    file = user_path(config)
    if not file.is_file():
        return [f"dataset: expected an npz file, got nothing at {file}; correct the path"]
    try:
        keys = _keys(file)
    except (OSError, zipfile.BadZipFile) as error:
        return [f"dataset: expected an npz file, got {file}, which cannot be opened ({error}); write it anew"]
    needed = ["x_train", "y_train", *([config.given_labels] if config.noise == "given" else [])]
    needed += [f"{other}_{part}" for part in PARTS for letter, other in ("xy", "yx") if f"{letter}_{part}" in keys]
    if missing := [key for key in dict.fromkeys(needed) if key not in keys]:
        got = f"got {format_list(keys, 12)}; add what is missing, or save the arrays under these names"
        return [f"dataset: expected the arrays {format_list(missing)} in {file}, {got}"]
    references = [f"{config.reference_labels}_{part}" for part in PARTS]
    if config.reference_labels != RunConfig().reference_labels and not set(references) & set(keys):
        return [
            f"reference_labels: expected one of the arrays {format_list(references)} in {file}, got "
            f"{format_list(keys, 12)}; correct the setting"
        ]
    return []


def files(config: RunConfig) -> Iterable[Path]:
    return (user_path(config),)


def read(config: RunConfig) -> RawDataset:
    file = user_path(config)
    references = {part: f"{config.reference_labels}_{part}" for part in PARTS}
    arrays, ignored = _load(
        file, {f"{x}_{part}" for x in "xy" for part in PARTS} | {config.given_labels, *references.values()}
    )
    labels = {key: arrays[key] for key in (*(f"y_{part}" for part in PARTS), config.given_labels) if key in arrays}
    votes = next((arrays[key] for key in references.values() if key in arrays and arrays[key].ndim == 2), None)
    encoded = encode_labels(file, labels, None if votes is None else votes.shape[1])

    def make_part(part: str) -> RawPart:
        given = encoded.classes.get(config.given_labels) if part == "train" else None
        x, truth, reference = arrays[f"x_{part}"], encoded.classes[f"y_{part}"], arrays.get(references[part])
        return checked_part(f"{file}: x_{part}", x, truth, len(encoded.names), given, reference)

    parts = {part: make_part(part) for part in PARTS if f"x_{part}" in arrays}
    remarks = [*encoded.remarks, *doubtful_names(encoded.names)]
    if ignored:
        remarks.append(f"arrays that are not read: {format_list(ignored)}")
    return RawDataset(parts["train"], parts.get("test"), encoded.names, parts.get("val"), tuple(remarks))


def _keys(file: Path) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def _load(file: Path, wanted: Container[str]) -> tuple[dict[str, Array], list[str]]:
    """The arrays among those `wanted` that are there, and the keys of the others."""
    arrays = {}
    key = "its arrays"
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            keys = sorted(archive.files)
            for key in keys:
                if key in wanted:
                    arrays[key] = archive[key]
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if key in wanted and "allow_pickle" in str(error):
            raise DataError(
                f"{file}: {key}: expected an array of numbers or text, got one of Python objects; convert it, numbers "
                "with .astype(float), names with .astype(str), and write the file anew"
            ) from error
        raise DataError(
            f"{file}: {key}: expected an npz file of arrays, got the error: {error}; write it anew"
        ) from error
    return arrays, [key for key in keys if key not in arrays]
