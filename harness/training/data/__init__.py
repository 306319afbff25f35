"""The data of a run in four parts that are never mixed.

    train   noisy labels, learned          meta   clean, drives the labels
    val     clean, drives the search       test   opened by a confirmation

    readers → array_cache → pool (and apart from it the test part) → splits, by the run's seed, with noise

A trial cannot reach the test part: `load_pool` does not return it. A seed draws the other three anew, each with all
classes in proportion. `data_facts` says what a run was given.
"""

from harness.training.data.images import DataSplits, Images, PixelTable
from harness.training.data.pool import load_pool, load_test, pool_index
from harness.training.data.splits import load_splits
from harness.training.data.stratified import stratified_split
from harness.training.errors import DataError

__all__ = [
    "DataError",
    "DataSplits",
    "Images",
    "PixelTable",
    "load_pool",
    "load_splits",
    "load_test",
    "pool_index",
    "stratified_split",
]
