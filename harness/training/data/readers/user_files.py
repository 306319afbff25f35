"""A user's own data: an npz file, or a folder of images.

npz:FILE     x_train [N, height, width] or [N, height, width, channels], y_train [N]: true classes, -1 where unknown
             x_test, y_test                     optional; without them a fifth is set aside
             GIVEN_LABELS [N]                   optional: noisy labels of x_train, by the key of that setting
             REFERENCE_LABELS_train, …_test     optional: [N, classes] soft labels or counts, to compare with

folder:DIR   train/CLASS/*, test/CLASS/*        or DIR/CLASS/* alone: a fifth is set aside
             given.csv                          optional: image,class — noisy labels of training images
             reference.csv                      optional: image,CLASS,CLASS,… — soft labels or counts
             trusted/CLASS/*                    optional: images annotated rightly; the classes of train/ are then
                                                taken for noisy labels, and the true ones for unknown
"""

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.training.data.errors import DataError
from harness.training.data.readers.paths import IMAGE_ENDINGS, folder_classes, folder_parts
from harness.training.data.readers.raw import UNKNOWN, Array, Raw, checked, stacked


def read_npz(file: Path, given_labels: str, reference_labels: str) -> tuple[Raw, Raw | None]:
    """Raises DataError: the file is not there, is no npz file, or does not hold what it should."""
    arrays = _arrays(file)
    for key in ("x_train", "y_train"):
        if key not in arrays:
            raise DataError(f"{file}: expected an array {key}, got {', '.join(sorted(arrays)) or 'none'}; add it")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{file}: expected x_test and y_test together, got one of them; add the other")
    labels = [arrays[key] for key in ("y_train", "y_test", given_labels) if key in arrays]
    references = [arrays[key] for key in _reference_keys(reference_labels) if key in arrays and arrays[key].ndim == 2]
    counted = [int(each.max()) + 1 for each in labels if each.size and np.issubdtype(each.dtype, np.integer)]
    classes = references[0].shape[1] if references else max(counted, default=0)
    parts = []
    for part, given in (("train", arrays.get(given_labels)), ("test", None)):
        if f"x_{part}" in arrays:
            reference = arrays.get(f"{reference_labels}_{part}")
            named = f"{file}, {part}"
            parts.append(checked(named, arrays[f"x_{part}"], arrays[f"y_{part}"], given, reference, classes))
    return parts[0], parts[1] if len(parts) > 1 else None


def _reference_keys(name: str) -> list[str]:
    return [f"{name}_train", f"{name}_test"]


def _arrays(file: Path) -> dict[str, Array]:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise DataError(f"{file}: expected an npz file, got nothing there; correct the path") from None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:  # TypeError: an npy file
        raise DataError(f"{file}: expected an npz file of arrays, got the error: {error}; write it anew") from error


def read_folder(folder: Path, size: int) -> tuple[Raw, Raw | None]:
    """Raises DataError: the folder is not there, or does not hold what it should."""
    parts = folder_parts(folder)
    if not parts:
        raise DataError(
            f"{folder}: expected folders train/CLASS and perhaps test/CLASS, or CLASS alone, each with images, got "
            "none; correct the path, or move the images"
        )
    names = sorted({name for part in parts.values() for name in folder_classes(part)})
    held: dict[str, tuple[list[Path], list[int]]] = {name: _listed(part, names) for name, part in parts.items()}
    pixels = {part: [_pixels(file, size) for file in files] for part, (files, _) in held.items()}
    given = _given(folder / "given.csv", names)
    reference = _references(folder / "reference.csv", names)

    def part(where: Sequence[str]) -> Raw:
        files = [file for name in where for file in held[name][0]]
        annotated = np.array([c for name in where for c in held[name][1]])
        truth, noisy = annotated, None
        if "trusted" in where:
            known = np.array([name == "trusted" for name in where for _ in held[name][0]])
            truth, noisy = np.where(known, annotated, UNKNOWN), annotated
        elif given and "train" in where:
            noisy = np.array([given.get(_key(file, folder), c) for file, c in zip(files, annotated, strict=True)])
        rows = [reference.get(_key(file, folder)) for file in files]
        known_rows = [row for row in rows if row is not None]
        if known_rows and len(known_rows) < len(rows):
            missing = next(file for file, row in zip(files, rows, strict=True) if row is None)
            raise DataError(
                f"{folder / 'reference.csv'}: expected a row for each image, got none for {missing}; add it"
            )
        images = stacked(str(folder), [image for name in where for image in pixels[name]])
        return checked(str(folder), images, truth, noisy, np.array(known_rows) if known_rows else None, len(names))

    train = part([name for name in ("train", "trusted") if name in parts])
    return train, part(["test"]) if "test" in parts else None


def _listed(part: Path, names: Sequence[str]) -> tuple[list[Path], list[int]]:
    files = [
        (file, names.index(name))
        for name in folder_classes(part)
        for file in sorted((part / name).rglob("*"))
        if file.suffix.lower() in IMAGE_ENDINGS
    ]
    if not files:
        raise DataError(f"{part}: expected images in its folders, got none; add them, or remove the folder")
    return [file for file, _ in files], [c for _, c in files]


def _key(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _pixels(file: Path, size: int) -> Array:
    from PIL import Image  # ships with torchvision; only folders need it

    try:
        with Image.open(file) as opened:
            image = opened if opened.mode in ("L", "RGB") else opened.convert("RGB")
            return np.asarray(image.resize((size, size), resample=2, reducing_gap=3.0) if size else image)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{file}: expected an image, got the error: {error}; replace or remove it") from error


def _rows(file: Path) -> list[list[str]]:
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            return [row for row in csv.reader(opened) if row]
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: expected text in UTF-8, got the error: {error}; save it so") from error


def _given(file: Path, names: Sequence[str]) -> dict[str, int]:
    if not file.exists():
        return {}
    given = {}
    for line, row in enumerate(_rows(file), start=1):
        if row == ["image", "class"]:
            continue
        if len(row) != 2 or row[1] not in names:
            raise DataError(
                f"{file}:{line}: expected image,class with a class of {', '.join(names)}, got {','.join(row)}"
            )
        given[row[0]] = names.index(row[1])
    return given


def _references(file: Path, names: Sequence[str]) -> dict[str, list[float]]:
    if not file.exists():
        return {}
    head, *rows = _rows(file) or [[]]
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
