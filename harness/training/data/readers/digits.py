"""The digits that scikit-learn ships: 1,797 images of 8×8 pixels with 17 levels, ten classes."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import numbered_classes
from harness.training.data.readers.raw_part import RawDataset, checked_part


def problems(config: RunConfig) -> list[str]:
    return []


def files(config: RunConfig) -> None:
    """None: reading the file is as quick as reading the cache."""


def read(config: RunConfig) -> RawDataset:
    # `sklearn.datasets.load_digits` reads the same file, but its import takes two seconds.
    package = find_spec("sklearn")
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"  # type: ignore[union-attr, arg-type]
    table = np.loadtxt(file, delimiter=",")
    images = table[:, :-1].reshape(-1, 8, 8).astype(np.uint8)
    part = checked_part("digits", images, table[:, -1].astype(np.int64), 10)
    return RawDataset(part, None, numbered_classes(10))
