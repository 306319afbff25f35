"""What reads a data set from its files.

A reader is a module with the three functions of `Reader`. It returns a training part and, where the set has one, a test
part, both checked by `harness.training.data.readers.raw_part`. It imports no torch: `problems` is called before that.
"""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from harness.training.config.registry import OWN_KINDS, READERS
from harness.training.config.run_config import RunConfig
from harness.training.data.readers.raw_part import RawPart


@dataclass(frozen=True)
class DataSource:
    """The settings that determine the arrays of a data set."""

    dataset: str
    data_root: str
    download: bool
    image_size: int
    given_labels: str
    reference_labels: str

    @classmethod
    def from_config(cls, config: RunConfig) -> "DataSource":
        return cls(**{name: getattr(config, name) for name in cls.__dataclass_fields__})

    @property
    def path(self) -> Path:
        """File or folder of a user's own data."""
        return Path(self.dataset.partition(":")[2]).expanduser()

    @property
    def root(self) -> Path:
        return Path(self.data_root).expanduser()


class Reader(Protocol):
    """The functions of a reader module."""

    def read(self, source: DataSource) -> tuple[RawPart, RawPart | None]:
        """Return the training part, and the test part or None.

        Raises:
            DataError: the files are missing, or do not hold what they should.
        """
        ...

    def files(self, source: DataSource) -> Iterable[Path] | None:
        """Return the files that are read, as known without reading: the key of the cache. None: do not cache."""
        ...

    def problems(self, source: DataSource, noise: str) -> list[str]:
        """Return what is missing, a line each, as known without reading arrays."""
        ...


def find_reader(dataset: str) -> Reader:
    """Import the reader of a data set."""
    kind = dataset.partition(":")[0]
    return cast(Reader, importlib.import_module(READERS[kind if kind in OWN_KINDS else dataset]))
