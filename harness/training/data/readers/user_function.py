"""A data set of a user's own function, `module:function`: from a `RunConfig` to a `RawDataset`.

    def my_data(config: harness.RunConfig) -> harness.RawDataset: ...
    my_data.files = lambda config: [Path("mine.bin")]      optional: what it reads

Images are [N, height, width], [N, height, width, channels] or vectors [N, features], as in `npz:`. Of the settings the
function sees those of the data alone; the others have their defaults. With `files` the arrays are cached, and read
again when a file or the function's module changes. Without, each process calls the function.
"""

import inspect
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from harness.training.config.run_config import RunConfig
from harness.training.config.user_code import describe_exception, load_user_object
from harness.training.data.readers.raw_part import RawDataset, RawPart, checked_part
from harness.training.errors import DataError

RETURNS = "harness.RawDataset"


def problems(config: RunConfig) -> list[str]:
    try:
        _function(config)
    except PydanticCustomError as error:
        return [f"dataset: {error.message()}"]
    return []


def files(config: RunConfig) -> Iterable[Path] | None:
    function = _function(config)
    if not hasattr(function, "files"):
        return None
    try:
        return [*map(Path, function.files(config)), Path(inspect.getfile(function))]
    except Exception as error:
        raise _error(config, f"a list of paths from {config.dataset}.files", error) from error


def read(config: RunConfig) -> RawDataset:
    try:
        dataset = _function(config)(config)
    except DataError:
        raise
    except Exception as error:
        raise _error(config, f"a {RETURNS}", error) from error
    if not isinstance(dataset, RawDataset):
        raise DataError(
            f"dataset {config.dataset}: expected a {RETURNS}, got a {type(dataset).__name__}; return RawDataset(train, "
            "test, class_names)"
        )
    parts = {name: getattr(dataset, name) for name in ("train", "test", "validation")}
    classes = len(dataset.class_names)
    checked: dict[str, Any] = {
        name: None if part is None and name != "train" else _checked(config, name, part, classes)
        for name, part in parts.items()
    }
    names = tuple(map(str, dataset.class_names))
    return RawDataset(checked["train"], checked["test"], names, checked["validation"], dataset.remarks)


def _checked(config: RunConfig, name: str, part: Any, classes: int) -> RawPart:
    where = f"dataset {config.dataset}: {name}"
    if not isinstance(part, RawPart) or part.classes != classes:
        got = f"one of {part.classes} classes" if isinstance(part, RawPart) else f"a {type(part).__name__}"
        raise DataError(f"{where}: expected a harness.RawPart of {classes} classes, as class_names has, got {got}")
    try:
        checked = checked_part(where, part.images, part.truth, classes, part.given, part.reference)
    except (AttributeError, TypeError, IndexError) as error:
        raise _error(config, f"NumPy arrays of images and labels in {name}", error) from error
    return replace(checked, paths=part.paths)


def _function(config: RunConfig) -> Any:
    return load_user_object(config.dataset, f"a data set, or a function that returns a {RETURNS}")


def _error(config: RunConfig, expected: str, error: Exception) -> DataError:
    return DataError(
        f"dataset {config.dataset}: expected {expected}, got the error {describe_exception(error)}; mend it"
    )
