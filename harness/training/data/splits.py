"""The pool cut into train, meta and validation part by the run's seed, with noise on the training labels.

Each part has all classes in proportion. Images whose true class is unknown can only be trained on.
"""

import torch
from torch import Tensor

from harness.common.formatting import format_list
from harness.training.config.run_config import RunConfig
from harness.training.data.images import DataSplits, Images
from harness.training.data.noise import inject_noise
from harness.training.data.pool import load_pool
from harness.training.data.stratified import stratified_split
from harness.training.errors import DataError
from harness.training.rng import generator


def load_splits(config: RunConfig) -> DataSplits:
    """Draw the three parts of the data and corrupt the training labels, as `config` says.

    DataError if the data cannot be read, or cannot serve the sizes, classes or noise asked of them.
    """
    pool = load_pool(config)
    known = (pool.targets >= 0).nonzero().flatten()
    taken = config.meta_size + config.val_size
    left = len(pool) - taken
    if len(known) < taken or left < pool.classes:
        unknown = f", {len(pool) - len(known)} of them of unknown class," if len(known) < len(pool) else ""
        raise DataError(
            f"meta_size {config.meta_size} + val_size {config.val_size}: {config.dataset} has {len(pool)} images"
            f"{unknown} besides its test part, expected at least {pool.classes} of them left to train on; make one "
            "smaller"
        )
    if config.train_size > left:
        raise DataError(
            f"train_size: expected at most the {left} images of {config.dataset} that meta_size {config.meta_size} and "
            f"val_size {config.val_size} leave, got {config.train_size}; make one smaller"
        )
    split = generator(config.seed, "split")
    parts = stratified_split(pool.targets[known], [config.meta_size, config.val_size], split)
    meta, val, train = (known[part] for part in parts)
    train = torch.cat([train, (pool.targets < 0).nonzero().flatten()])
    if config.train_size:
        annotated = pool.targets if pool.given is None else pool.given
        train = train[stratified_split(annotated[train], [config.train_size], split)[0]]
    meta_classes = torch.bincount(pool.targets[meta], minlength=pool.classes)
    if absent := (meta_classes == 0).nonzero().flatten().tolist():
        names = format_list(pool.class_names[c] for c in absent)
        raise DataError(
            f"meta_size {config.meta_size}: expected every class of {config.dataset} in the meta set, got none of "
            f"class {names}; make meta_size larger, or add images of these"
        )
    return DataSplits(pool[train], _noisy_labels(config, pool[train]), pool[meta], pool[val])


def _noisy_labels(config: RunConfig, train: Images) -> Tensor:
    if config.noise == "given":
        assert train.given is not None, "noise: given without given labels, see `check_config`"
        return train.given
    if unknown := int((train.targets < 0).sum()):
        raise DataError(
            f"noise {config.noise}: expected to know every true class, got {unknown} unknown; set noise: given, which "
            "trains on the labels that came with the data"
        )
    return inject_noise(config, train, generator(config.seed, "noise"))
