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

from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import numbered_classes
from harness.training.data.readers.raw_part import Array, RawDataset, checked_part
from harness.training.data.readers.reader import user_path
from harness.training.errors import DataError


def problems(config: RunConfig) -> list[str]:
    file = user_path(config)
    if not file.is_file():
        return [f"dataset: expected an npz file, got nothing at {file}; correct the path"]
    try:
        with zipfile.ZipFile(file) as archive:
            keys = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        return [f"dataset: expected an npz file, got {file}, which cannot be opened ({error}); write it anew"]
    needed = ["x_train", "y_train", *([config.given_labels] if config.noise == "given" else [])]
    found = ", ".join(sorted(keys)) or "none"
    return [f"dataset: expected an array {key} in {file}, got {found}; add it" for key in needed if key not in keys]


def files(config: RunConfig) -> Iterable[Path]:
    return (user_path(config),)


def read(config: RunConfig) -> RawDataset:
    file = user_path(config)
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            arrays: dict[str, Array] = dict(archive)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: expected an npz file of arrays, got the error: {error}; write it anew") from error
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{file}: expected x_test and y_test together, got one of them; add the other")
    references = {part: arrays.get(f"{config.reference_labels}_{part}") for part in ("train", "test")}
    given = {"train": arrays.get(config.given_labels)}
    classes = _count_classes([arrays["y_train"], arrays.get("y_test"), given["train"]], references.values())
    train, *test = (
        checked_part(
            f"{file}, {part}", arrays[f"x_{part}"], arrays[f"y_{part}"], classes, given.get(part), references[part]
        )
        for part in ("train", "test")
        if f"x_{part}" in arrays
    )
    return RawDataset(train, test[0] if test else None, numbered_classes(classes))


def _count_classes(labels: Iterable[Array | None], references: Iterable[Array | None]) -> int:
    for reference in references:
        if reference is not None and reference.ndim == 2:
            return int(reference.shape[1])
    counted = [each for each in labels if each is not None and each.size and np.issubdtype(each.dtype, np.integer)]
    return max((int(each.max()) + 1 for each in counted), default=0)
