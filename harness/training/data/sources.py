"""From the settings that name a data set to its pool and its test part.

    what a run may see: the pool          what a confirmation alone opens: the test part

The test part is the set's own; of a set without one it is a fifth, drawn once for all by a constant of this file. The
two are stored apart, so that nothing a trial holds can reach a test image.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from harness.training.config.run_config import RunConfig
from harness.training.data.errors import DataError
from harness.training.data.images import Images, Pixels
from harness.training.data.readers import digits, idx, torchvision_sets, user_files
from harness.training.data.readers.cache import Arrays, cached
from harness.training.data.readers.paths import IDX_SETS, idx_folder
from harness.training.data.readers.raw import Raw, resized
from harness.training.data.stratified import cut

TEST_SHARE = 0.2
TEST_SEED = 200909496  # of arXiv:2009.09496; any constant would do, but it may never change
STATISTICS_BATCH = 4096


@dataclass(frozen=True)
class Source:
    """The settings that say which data set is meant."""

    dataset: str
    data_root: str
    download: bool
    image_size: int
    given_labels: str
    reference_labels: str

    @classmethod
    def of(cls, config: RunConfig) -> "Source":
        return cls(
            config.dataset,
            config.data_root,
            config.download,
            config.image_size,
            config.given_labels,
            config.reference_labels,
        )

    @property
    def kind(self) -> str:
        return self.dataset.partition(":")[0]

    @property
    def place(self) -> Path:
        """Of a user's own data: where they are."""
        return Path(self.dataset.partition(":")[2]).expanduser()

    @property
    def root(self) -> Path:
        return Path(self.data_root).expanduser()


def load_pool(config: RunConfig) -> Images:
    """All images of the data set but the test part.

    Raises:
        DataError: they cannot be read.
    """
    return _images(Source.of(config), "pool")


def load_test(config: RunConfig) -> Images:
    """The test part. A confirmation calls this, and who asks for people's votes on its images; no search does."""
    return _images(Source.of(config), "test")


def pool_places(config: RunConfig) -> np.ndarray:
    """Where each image of the pool stands in the data set (of one with a test part: in its training part), [N]."""
    return _arrays(Source.of(config))["pool_places"]


@lru_cache(maxsize=4)
def _images(source: Source, part: str) -> Images:
    held = {name: torch.from_numpy(array) for name, array in _arrays(source).items()}
    targets = held[f"{part}_truth"]
    return Images(
        Pixels(held[f"{part}_images"], held["mean"], held["std"]),
        torch.arange(len(targets)),
        targets,
        int(held["classes"]),
        held.get(f"{part}_given"),
        held.get(f"{part}_reference"),
    )


@lru_cache(maxsize=2)
def _arrays(source: Source) -> Arrays:
    if source.dataset == "digits":
        return _stored(source)
    asked = (source.dataset, source.data_root, str(source.image_size), source.given_labels, source.reference_labels)
    return cached(asked, _files(source), lambda: _stored(source))


def _files(source: Source) -> Iterator[Path]:
    """What the set is read from, as far as it can be told without reading it."""
    if source.kind == "npz":
        places = [source.place]
    elif source.kind == "folder":
        places = list(source.place.rglob("*"))
    elif source.dataset in IDX_SETS:
        folder = idx_folder(source.dataset, source.root)
        places = [] if folder is None else list(folder.iterdir())
    else:
        places = list(source.root.iterdir()) if source.root.is_dir() else []
    return (place for place in places if place.exists())


def _read(source: Source) -> tuple[Raw, Raw | None]:
    if source.kind == "npz":
        return user_files.read_npz(source.place, source.given_labels, source.reference_labels)
    if source.kind == "folder":
        return user_files.read_folder(source.place, source.image_size)
    if source.dataset == "digits":
        return digits.read(), None
    if source.dataset in IDX_SETS:
        return idx.read(source.dataset, source.root, source.download)
    return torchvision_sets.read(source.dataset, source.root, source.download, source.image_size)


def _stored(source: Source) -> Arrays:
    """Pool and test part as arrays by name, with the pool's mean and deviation by channel."""
    train, test = _read(source)
    if test is not None and test.images.shape[1:] != train.images.shape[1:] and not source.image_size:
        raise DataError(
            f"{source.dataset}: expected training and test images of one shape, got {list(train.images.shape[1:])} and "
            f"{list(test.images.shape[1:])}; set image_size"
        )
    places = np.arange(len(train.truth))
    if test is None:
        places, test_places = _division(source, train)
        train, test = train[places], train[test_places]
    pool, test = resized(train, source.image_size), resized(test, source.image_size)
    mean, std = _statistics(pool)
    arrays: Arrays = {"mean": mean, "std": std, "pool_places": places}
    for name, part in (("pool", pool), ("test", test)):
        held = {"images": part.images, "truth": part.truth, "given": part.given, "reference": part.reference}
        arrays |= {f"{name}_{key}": array for key, array in held.items() if array is not None}
    arrays["classes"] = np.array(_classes(pool, test))
    return arrays


def _division(source: Source, raw: Raw) -> tuple[np.ndarray, np.ndarray]:
    """Places of the pool and of the test part in a set that brings none; images of unknown class stay in the pool."""
    known = np.flatnonzero(raw.truth >= 0)
    size = round(TEST_SHARE * len(known))
    if not size:
        raise DataError(f"{source.dataset}: expected images of known class to test on, got {len(known)}; add some")
    targets = torch.from_numpy(raw.truth[known])
    test, pool = cut(targets, [size], torch.Generator().manual_seed(TEST_SEED))
    unknown = np.flatnonzero(raw.truth < 0)
    return np.concatenate([known[pool.numpy()], unknown]), known[test.numpy()]


def _classes(pool: Raw, test: Raw) -> int:
    for part in (pool, test):
        if part.reference is not None:
            return int(part.reference.shape[1])
    held = [part.truth.max() for part in (pool, test)] + ([] if pool.given is None else [pool.given.max()])
    return int(max(held)) + 1


def _statistics(pool: Raw) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all pixels of the pool, [1, channels, 1, 1] in float32."""
    first = second = 0.0
    for start in range(0, len(pool.images), STATISTICS_BATCH):
        images = pool.images[start : start + STATISTICS_BATCH].astype(np.float64)
        first = first + images.sum((0, 2, 3))
        second = second + (images**2).sum((0, 2, 3))
    count = pool.images.size / pool.images.shape[1]
    mean = np.asarray(first / count)
    std = np.sqrt(np.maximum(second / count - mean**2, 0))
    std = np.where(std > 0, std, 1)  # a channel that never varies says nothing at any scale
    return mean.astype(np.float32).reshape(1, -1, 1, 1), std.astype(np.float32).reshape(1, -1, 1, 1)
