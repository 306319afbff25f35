"""Four parts of the data, never mixed.

    train   noisy labels, learned          meta   clean, drives the labels
    val     clean, drives the search       test   opened by a confirmation; its votes, if any, by semantics

    digits · idx · torchvision_sets · own      readers: a data set as numpy arrays (`raw`), checked
    cache                                      what was read, as files that the trials of a node share
    sources                                    settings → the pool, and apart from it the test part
    parts                                      the pool → train, meta and val, drawn by the run's seed
    seen                                       what a run saw, by digest

The test part of a data set is its own, or drawn once for all; it is not in what `load_pool` returns: a trial cannot
see it. A seed re-draws the other three, class by class, so that every part has all classes in proportion.
"""

from harness.training.data.errors import DataError
from harness.training.data.images import DataSplits, Images, Pixels
from harness.training.data.sources import load_pool, load_test, pool_places
from harness.training.data.splits import load_splits
from harness.training.data.stratified import cut

__all__ = ["DataError", "DataSplits", "Images", "Pixels", "cut", "load_pool", "load_splits", "load_test", "pool_places"]
