"""Protocol of the readers of data sets, and lookup of the reader of a data set."""

import importlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

from harness.training.config.registry import READERS, USER_DATA_KINDS, USER_FUNCTION_READER, is_user_object
from harness.training.config.run_config import RunConfig
from harness.training.data.readers.raw_part import RawDataset


class Reader(Protocol):
    """The functions of a reader module. It imports no torch: `problems` is called before that."""

    def problems(self, config: RunConfig) -> list[str]:
        """Return what is missing, a line each, as known without reading arrays."""
        ...

    def files(self, config: RunConfig) -> Iterable[Path] | None:
        """Return the files that are read, as known without reading: the key of the cache. None: do not cache."""
        ...

    def read(self, config: RunConfig) -> RawDataset:
        """Return the parts of the set and its class names; DataError for what `problems` cannot see."""
        ...


def find_reader(dataset: str) -> Reader:
    """Import the reader of a data set."""
    if is_user_object(dataset, READERS):
        return cast(Reader, importlib.import_module(USER_FUNCTION_READER))
    kind = dataset.partition(":")[0]
    return cast(Reader, importlib.import_module(READERS[kind if kind in USER_DATA_KINDS else dataset]))


def user_path(config: RunConfig) -> Path:
    """Return the file or folder of a user's own data."""
    return Path(os.path.expanduser(config.dataset.partition(":")[2]))


def data_root(config: RunConfig) -> Path:
    return Path(os.path.expanduser(config.data_root))
