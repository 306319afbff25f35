"""Four parts of the data, never mixed.

    train   noisy labels, learned          meta   clean, drives the labels
    val     clean, drives the search       test   opened by a confirmation alone

The test part of a data set is drawn once for all, by a constant of this file, and is not in what `load_pool` returns:
a trial cannot see it. A seed re-draws the other three, class by class, so that every part has all classes in
proportion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.training.config import RunConfig
from harness.training.noise import spoil
from harness.training.random import generator

TEST_SHARE = 0.2
TEST_SEED = 200909496  # of arXiv:2009.09496; any constant would do, but it may never change


class DataError(ValueError):
    """A data set that cannot serve the run asked of it; says which setting to change."""


@dataclass(frozen=True)
class Images:
    """Images [N, channels, height, width] in float32, standardised, with their true classes [N] in int64."""

    inputs: Tensor
    targets: Tensor
    classes: int

    def __getitem__(self, index: Tensor) -> "Images":
        return Images(self.inputs[index], self.targets[index], self.classes)

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Parts:
    """What a run sees. `noisy` are the labels trained on; `train.targets`, the truth, serve measuring alone."""

    train: Images
    noisy: Tensor
    meta: Images
    val: Images


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits that scikit-learn ships, read from its file: importing `sklearn.datasets` takes two seconds more."""
    found = find_spec("sklearn")
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.exists():
            table = np.loadtxt(file, delimiter=",")
            break
    else:  # a version that keeps the file elsewhere
        from sklearn.datasets import load_digits

        digits = load_digits()
        table = np.column_stack([digits.data, digits.target])
    return table[:, :-1].reshape(-1, 1, 8, 8).astype(np.float32), table[:, -1].astype(np.int64)


SOURCES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {"digits": _digits}


@lru_cache(maxsize=2)
def _pool_and_test(dataset: str) -> tuple[Images, Images]:
    raw, classes = SOURCES[dataset]()
    inputs, targets = torch.from_numpy(raw), torch.from_numpy(classes)
    n_test = round(TEST_SHARE * len(targets))
    test, pool = cut(targets, [n_test], torch.Generator().manual_seed(TEST_SEED))
    std, mean = torch.std_mean(inputs[pool], dim=(0, 2, 3), keepdim=True)
    images = Images((inputs - mean) / std, targets, int(targets.max()) + 1)
    return images[pool], images[test]


def load_pool(dataset: str) -> Images:
    """All images of the data set but the test part."""
    return _pool_and_test(dataset)[0]


def load_test(dataset: str) -> Images:
    """The test part. Only a confirmation calls this."""
    return _pool_and_test(dataset)[1]


def cut(targets: Tensor, sizes: list[int], stream: torch.Generator) -> list[Tensor]:
    """Disjoint index sets of the given sizes, and one of what is left, each with all classes in proportion.

    Shuffled, the images of each class are dealt out evenly over [0, 1); reading them in that order, any prefix holds
    the classes in proportion to within one image.
    """
    order = torch.randperm(len(targets), generator=stream)
    place = torch.empty(len(targets), dtype=torch.float64)
    for c in targets.unique():
        members = order[targets[order] == c]
        offset = torch.rand(1, generator=stream, dtype=torch.float64)
        place[members] = (torch.arange(len(members), dtype=torch.float64) + offset) / len(members)
    dealt = place.argsort(stable=True)
    return list(dealt.split([*sizes, len(targets) - sum(sizes)]))


def load_parts(config: RunConfig) -> Parts:
    """The three parts a run may see, drawn by `config.seed`.

    Raises:
        DataError: the meta and validation sets leave too few images to train on.
    """
    pool = load_pool(config.dataset)
    taken = config.meta_size + config.val_size
    if len(pool) - taken < pool.classes:
        raise DataError(
            f"meta_size {config.meta_size} + val_size {config.val_size}: {config.dataset} has {len(pool)} images "
            f"besides its test part, expected at least {pool.classes} of them left to train on; make one smaller"
        )
    meta, val, train = cut(pool.targets, [config.meta_size, config.val_size], generator(config.seed, "split"))
    truth = pool[train]
    noise = generator(config.seed, "noise")
    noisy = spoil(truth.targets, pool.classes, config.noise, config.noise_rate, noise)
    return Parts(truth, noisy, pool[meta], pool[val])
