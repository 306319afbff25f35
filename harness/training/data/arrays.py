"""Arrays of a data set: read, checked, its test part set aside, resized, cached; and the summary of what was read.

The test part is the set's own; for a set without one it is a fifth, drawn once for all by a constant of this file.
Torch is imported only where it draws or resizes, so that a command can summarise its data without it.
"""

import socket
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.training.config.run_config import RunConfig
from harness.training.data.array_cache import Arrays, cache_key, cached_arrays
from harness.training.data.class_names import check_names
from harness.training.data.readers.raw_part import Array, RawDataset, RawPart, with_one_type
from harness.training.data.readers.reader import find_reader
from harness.training.data.summarise import check_scale, summarise
from harness.training.data_summary import DATA_SETTINGS, DataSummary
from harness.training.errors import DataError

TEST_SHARE = 0.2
TEST_SEED = 200909496  # of arXiv:2009.09496; any constant would do, but it may never change
BATCH = 4096
SUMMARY = "summary"
"""Name of the array that holds the summary, as JSON."""


def data_config(config: RunConfig) -> RunConfig:
    """A configuration that differs from the default in what concerns the files alone."""
    return RunConfig(**config.model_dump(include={*DATA_SETTINGS, "download", "max_image_pixels"}))


def load_summary(config: RunConfig) -> DataSummary:
    """Return the summary of the data set of `config`, which is read unless it is cached; DataError if it cannot be.

    A command begins with it: from here on the data sets of this process are those of the files as they are now.
    """
    config = data_config(config)
    data_version.cache_clear()
    if not data_version(config):  # read as quickly as from a cache
        return _read(config)[1]
    return _stored_summary(config)


def check_digest(config: RunConfig, expected: str) -> None:
    """Raise DataError if the data set of `config` is another one on this machine than where `expected` was computed."""
    summary = _stored_summary(data_config(config))
    if summary.digest != expected:
        raise DataError(
            f"{config.dataset}: expected the data that this sweep began with, digest {expected}, got {summary.digest} "
            f"on {socket.gethostname()}; restore them there, and the same command goes on"
        )


@lru_cache(maxsize=8)
def data_version(config: RunConfig) -> str:
    """Return what stands for the files of a data set, as the last `load_summary` found them; "" of one not cached.

    A run does not look at its files again: all runs of a command have the same data.
    """
    files = _files(config)
    return "" if files is None else cache_key([str(getattr(config, name)) for name in DATA_SETTINGS], files)


def load_arrays(config: RunConfig) -> Arrays:
    """Return pool, test part and perhaps a validation part as arrays by name; DataError if they cannot be read.

    Args:
        config: a `data_config`.
    """
    try:
        return _arrays_of_version(config, data_version(config))
    except DataError:
        data_version.cache_clear()  # the user mends the files
        raise


@lru_cache(maxsize=2)
def _arrays_of_version(config: RunConfig, version: str) -> Arrays:
    return cached_arrays(version, lambda: _read_arrays(config)) if version else _read_arrays(config)


def _stored_summary(config: RunConfig) -> DataSummary:
    return DataSummary.model_validate_json(str(load_arrays(config)[SUMMARY][0]))


def _files(config: RunConfig) -> Iterable[Path] | None:
    """The files that are read; None of a set that is not cached. DataError if something is missing."""
    reader = find_reader(config.dataset)
    if problems := reader.problems(config):
        raise DataError("\n".join(problems))
    return reader.files(config)


def _read(config: RunConfig) -> tuple[RawDataset, DataSummary]:
    """The data set as its reader returns it, its parts on one scale, and its summary."""
    dataset = with_one_type(find_reader(config.dataset).read(config))
    check_names(config.dataset, dataset.class_names)
    summary = summarise(config, dataset)
    check_scale(summary)
    return dataset, summary


def _read_arrays(config: RunConfig) -> Arrays:
    """Pool and other parts as arrays by name, with the pool's mean and standard deviation by channel."""
    dataset, summary = _read(config)
    pool, test = dataset.train, dataset.test
    index = np.arange(len(pool.truth))
    if test is None:
        index, test_index = _set_test_aside(config, pool)
        pool, test = pool[index], pool[test_index]
    parts = {"pool": pool, "test": test}
    if dataset.validation is not None:
        parts["validation"] = dataset.validation
    if config.image_size and pool.images.shape[2:] == (1, 1):
        raise DataError(f"image_size: expected 0 for feature vectors, got {config.image_size}; remove the setting")
    parts = {name: _resized(part, config.image_size) for name, part in parts.items()}
    pool = parts["pool"]
    for name, part in parts.items():
        if part.images.shape[1:] != pool.images.shape[1:]:
            remedy = "set image_size" if part.images.shape[1] == pool.images.shape[1] else "store both alike"
            raise DataError(
                f"{config.dataset}: expected training and {name} images of one shape, got "
                f"{list(pool.images.shape[1:])} and {list(part.images.shape[1:])}; {remedy}"
            )
    mean, std = _channel_statistics(pool)
    arrays = {"mean": mean, "std": std, "pool_index": index, "class_names": np.array(dataset.class_names)}
    arrays[SUMMARY] = np.array([summary.model_dump_json()])
    for name, part in parts.items():
        for key in ("images", "truth", "given", "reference", "paths"):
            if (array := getattr(part, key)) is not None:
                arrays[f"{name}_{key}"] = array
    return arrays


def _set_test_aside(config: RunConfig, raw: RawPart) -> tuple[Array, Array]:
    """Indices of pool and test part in a set without a test part; images of unknown class stay in the pool."""
    known = np.flatnonzero(raw.truth >= 0)
    size = round(TEST_SHARE * len(known))
    if not size:
        raise DataError(f"{config.dataset}: expected images of known class to test on, got {len(known)}; add some")
    import torch  # takes seconds

    from harness.training.data.stratified import stratified_split

    targets = torch.from_numpy(raw.truth[known])
    test, pool = stratified_split(targets, [size], torch.Generator().manual_seed(TEST_SEED))
    unknown = np.flatnonzero(raw.truth < 0)
    return np.concatenate([known[pool.numpy()], unknown]), known[test.numpy()]


def _resized(raw: RawPart, size: int) -> RawPart:
    """Images scaled to `size` × `size`, bilinearly with antialiasing; 0 leaves them as they are."""
    if not size or raw.images.shape[2:] == (size, size):
        return raw
    import torch  # takes seconds
    from torch.nn import functional

    scaled = []
    for start in range(0, len(raw.images), BATCH):
        images = torch.from_numpy(raw.images[start : start + BATCH]).float()
        images = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
        scaled.append((images.round().byte() if raw.images.dtype == np.uint8 else images).numpy())
    return replace(raw, images=np.concatenate(scaled))


def _channel_statistics(pool: RawPart) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel over all pixels of the pool, [1, channels, 1, 1] in float32."""
    first = second = 0.0
    for start in range(0, len(pool.images), BATCH):
        images = pool.images[start : start + BATCH].astype(np.float64)
        first = first + images.sum((0, 2, 3))
        second = second + (images**2).sum((0, 2, 3))
    count = pool.images.size / pool.images.shape[1]
    mean = np.asarray(first / count)
    std = np.sqrt(np.maximum(second / count - mean**2, 0))
    std = np.where(std > 0, std, 1)  # a channel that never varies says nothing at any scale
    return mean.astype(np.float32).reshape(1, -1, 1, 1), std.astype(np.float32).reshape(1, -1, 1, 1)
