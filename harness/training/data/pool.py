"""The pool of a data set, which a run may see, and apart from it the test part, which a confirmation alone opens.

The two are stored apart, so that nothing a trial holds can reach a test image. A set whose files set validation images
apart has them as a third part: the pool then gives training and meta images alone.
"""

from functools import lru_cache

import torch

from harness.training.config.run_config import RunConfig
from harness.training.data.arrays import SUMMARY, data_config, data_version, load_arrays
from harness.training.data.images import Images, PixelTable
from harness.training.data.readers.raw_part import Array


def load_pool(config: RunConfig) -> Images:
    """Return all images of the data set but the test part; DataError if they cannot be read."""
    return _load(config, "pool")


def load_validation(config: RunConfig) -> Images | None:
    """Return the images that the data set itself sets apart for validation; None where the pool gives them."""
    return _load(config, "validation") if "validation_truth" in load_arrays(data_config(config)) else None


def load_test(config: RunConfig) -> Images:
    """Return the test part. Only a confirmation calls this, and `semantics` for the votes on its images."""
    return _load(config, "test")


def pool_index(config: RunConfig) -> Array:
    """Return the index of each image of the pool in the data set (in its training part, if it has a test part), [N]."""
    return load_arrays(data_config(config))["pool_index"]


def _load(config: RunConfig, part: str) -> Images:
    config = data_config(config)
    return _images(config, data_version(config), part)


@lru_cache(maxsize=6)
def _images(config: RunConfig, version: str, part: str) -> Images:
    arrays = dict(load_arrays(config))
    class_names = tuple(arrays.pop("class_names").tolist())
    del arrays[SUMMARY]
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items() if array.dtype.kind != "S"}
    targets = tensors[f"{part}_truth"]
    return Images(
        PixelTable(tensors[f"{part}_images"], tensors["mean"], tensors["std"]),
        torch.arange(len(targets)),
        targets,
        class_names,
        tensors.get(f"{part}_given"),
        tensors.get(f"{part}_reference"),
    )
