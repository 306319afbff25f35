"""A user's own data in an npz file.

npz:FILE   x_train [N, height, width] or [N, height, width, channels], y_train [N]: true classes, -1 where unknown
           x_test, y_test                     optional; without them a fifth is set aside
           GIVEN_LABELS [N]                   optional: noisy labels of x_train, by the key of that setting
           REFERENCE_LABELS_train, …_test     optional: [N, classes] soft labels or counts, to compare with
"""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from harness.training.data.readers.raw_part import Array, RawPart, checked_part
from harness.training.data.readers.reader import DataSource
from harness.training.errors import DataError


def read(source: DataSource) -> tuple[RawPart, RawPart | None]:
    file = source.path
    arrays = _arrays(file)
    for key in ("x_train", "y_train"):
        if key not in arrays:
            raise DataError(f"{file}: expected an array {key}, got {', '.join(sorted(arrays)) or 'none'}; add it")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{file}: expected x_test and y_test together, got one of them; add the other")
    references = {part: arrays.get(f"{source.reference_labels}_{part}") for part in ("train", "test")}
    given = {"train": arrays.get(source.given_labels)}
    classes = _count_classes([arrays["y_train"], arrays.get("y_test"), given["train"]], list(references.values()))
    parts = [
        checked_part(
            f"{file}, {part}", arrays[f"x_{part}"], arrays[f"y_{part}"], classes, given.get(part), references[part]
        )
        for part in ("train", "test")
        if f"x_{part}" in arrays
    ]
    return parts[0], parts[1] if len(parts) > 1 else None


def files(source: DataSource) -> Iterable[Path]:
    return (source.path,)


def problems(source: DataSource, noise: str) -> list[str]:
    file = source.path
    if not file.is_file():
        return [f"dataset: expected an npz file, got nothing at {file}; correct the path"]
    try:
        with zipfile.ZipFile(file) as archive:
            held = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        return [f"dataset: expected an npz file, got {file}, which cannot be opened ({error}); write it anew"]
    needed = ["x_train", "y_train", *([source.given_labels] if noise == "given" else [])]
    named = ", ".join(sorted(held)) or "none"
    return [f"dataset: expected an array {key} in {file}, got {named}; add it" for key in needed if key not in held]


def _count_classes(labels: list[Array | None], references: list[Array | None]) -> int:
    for reference in references:
        if reference is not None and reference.ndim == 2:
            return int(reference.shape[1])
    counted = [each for each in labels if each is not None and each.size and np.issubdtype(each.dtype, np.integer)]
    return max((int(each.max()) + 1 for each in counted), default=0)


def _arrays(file: Path) -> dict[str, Array]:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise DataError(f"{file}: expected an npz file, got nothing there; correct the path") from None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:  # TypeError: an npy file
        raise DataError(f"{file}: expected an npz file of arrays, got the error: {error}; write it anew") from error
