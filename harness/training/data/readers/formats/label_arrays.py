"""Labels in arrays, as people write them, as classes: indices and names.

| array | classes |
| --- | --- |
| whole numbers [N], of any type, floats too | indices from 0; -1: unknown |
| text [N] | names, in the order of `sort_names`; "": unknown |
| booleans [N] | False, True |
| [N, 1] of these | as [N] |
| one-hot rows [N, C], C > 1 | the index of the one |

Anything else is refused: soft labels, other negative numbers, indices that begin at 1 or leave a class out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.common.formatting import format_list
from harness.training.data.class_names import normalized, numbered_classes, sort_names
from harness.training.data.readers.raw_part import UNKNOWN, Array
from harness.training.errors import DataError

MAX_INDEX = 2**31 - 1


@dataclass(frozen=True)
class EncodedLabels:
    """Class indices [N] int64 by key, -1 where unknown; the names of the classes; what was read in another form."""

    classes: Mapping[str, Array]
    names: tuple[str, ...]
    remarks: tuple[str, ...]


def encode_labels(file: Path, labels: Mapping[str, Array], reference_classes: int | None) -> EncodedLabels:
    """Encode the label arrays of a file, which share their classes.

    Args:
        reference_classes: columns of the reference labels, if there are any: the number of classes.

    Raises:
        DataError: an array is of no such form, or forms differ.
    """
    columns = {key: _as_column(f"{file}: {key}", array) for key, array in labels.items()}
    remarks = [
        f"{key}: one-hot rows, read as their index"
        for key, array in labels.items()
        if array.ndim == 2 and array.shape[1] > 1
    ]
    kinds = {key: _kind(column) for key, column in columns.items()}
    if len(set(kinds.values())) > 1:
        words = format_list(f"{kind} in {key}" for key, kind in kinds.items())
        raise DataError(f"{file}: expected labels of one kind, got {words}; write all of them alike")
    if "names" in kinds.values():
        names = sort_names(name for column in columns.values() for name in np.unique(column).tolist() if name)
        index = {name: c for c, name in enumerate(names)} | {"": UNKNOWN}
        columns = {key: np.array([index[name] for name in column.tolist()]) for key, column in columns.items()}
        if reference_classes is not None:
            remarks.append(f"columns of reference labels are taken for {format_list(names)}, in this order")
        return EncodedLabels(columns, names, tuple(remarks))
    if "booleans" in kinds.values():
        return EncodedLabels({key: column.astype(np.int64) for key, column in columns.items()}, ("False", "True"), ())
    known = max((array.shape[1] for array in labels.values() if array.ndim == 2 and array.shape[1] > 1), default=None)
    classes = reference_classes or known or _count_classes(file, columns)
    return EncodedLabels(columns, numbered_classes(classes), tuple(remarks))


def _as_column(name: str, array: Array) -> Array:
    """The array as [N]: int64, bool or normalized text."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "biuf":
        wrong = ((array != 0) & (array != 1)).any(1) | ((array == 1).sum(1) != 1)
        if wrong.any():
            raise DataError(
                f"{name}: expected one class for each image, got rows of {array.shape[1]} numbers, that of image "
                f"{wrong.argmax()} not one-hot; write class indices (soft labels to compare with go to reference_train)"
            )
        return np.asarray(array.argmax(1))
    if array.ndim != 1:
        raise DataError(
            f"{name}: expected one class for each image, [N], got {array.dtype} of shape {list(array.shape)}; write "
            "class indices or names"
        )
    if array.dtype == bool:
        return array
    if array.dtype.kind in "UST":
        texts = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in array.tolist())
        return np.array([normalized(text).strip() for text in texts], dtype=np.str_)
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected class indices or names, got {array.dtype}; write one of these")
    wrong = ~(np.isfinite(array) & (array == np.floor(array)) & (array >= UNKNOWN) & (array <= MAX_INDEX))
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"{name}: expected whole numbers from 0, or -1 where unknown, got {array[first]} at image {first} "
            f"({wrong.sum()} such); write class indices"
        )
    return array.astype(np.int64)


def _kind(column: Array) -> str:
    return {"U": "names", "b": "booleans"}.get(column.dtype.kind, "indices")


def _count_classes(file: Path, columns: Mapping[str, Array]) -> int:
    """The number of classes of indices; DataError if some below the largest are nowhere."""
    present = np.unique(np.concatenate([*columns.values(), np.array([UNKNOWN])]))[1:]
    classes = int(present[-1]) + 1 if len(present) else 0
    if len(present) == classes:
        return classes
    keys = format_list(columns)
    if present[0] == 1 and len(present) == classes - 1:
        raise DataError(f"{file}: {keys}: expected classes from 0, got 1 to {classes - 1}; subtract 1")
    absent = np.setdiff1d(np.arange(min(classes, len(present) + 6)), present)[:5]
    more = classes - len(present) - len(absent)
    raise DataError(
        f"{file}: {keys}: expected every class from 0 to {classes - 1}, got no image of class "
        f"{format_list(absent.tolist())}{f' and {more} more' if more > 0 else ''}; number the classes without gaps, or "
        "write their names"
    )
