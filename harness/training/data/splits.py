"""The pool cut into train, meta and validation part by the run's seed, with noise on the training labels.

Each part has all classes in proportion. Images whose true class is unknown can only be trained on. The validation part
of a data set that sets one apart is drawn from that alone.
"""

import torch
from torch import Tensor

from harness.common.formatting import format_list
from harness.training.config.run_config import RunConfig
from harness.training.data.images import DataSplits, Images
from harness.training.data.noise import inject_noise
from harness.training.data.pool import load_pool, load_validation
from harness.training.data.stratified import stratified_split
from harness.training.errors import DataError
from harness.training.rng import generator


def load_splits(config: RunConfig) -> DataSplits:
    """Draw the three parts of the data and corrupt the training labels, as `config` says.

    DataError if the data cannot be read, or cannot serve the sizes, classes or noise asked of them.
    """
    pool, validation = load_pool(config), load_validation(config)
    if pool.are_vectors and config.augment != "none":
        raise DataError(f"augment: expected none for feature vectors, got {config.augment}; remove the setting")
    known = (pool.targets >= 0).nonzero().flatten()
    sizes = _sizes(config, validation)
    words = [f"{name} {size}" for name, size in sizes.items()]
    left = len(pool) - sum(sizes.values())
    if len(known) < sum(sizes.values()) or left < pool.classes:
        unknown = f", {len(pool) - len(known)} of them of unknown class," if len(known) < len(pool) else ""
        raise DataError(
            f"{' + '.join(words)}: {config.dataset} has {len(pool)} images{unknown} "
            f"besides its {'test part' if validation is None else 'validation and test part'}, expected at "
            f"least {pool.classes} of them left to train on; make {'one' if len(sizes) > 1 else 'it'} smaller"
        )
    if config.train_size > left:
        raise DataError(
            f"train_size: expected at most the {left} images of {config.dataset} that "
            f"{' and '.join(words)} leave, got {config.train_size}; make one smaller"
        )
    split = generator(config.seed, "split")
    meta, *val, train = (known[part] for part in stratified_split(pool.targets[known], [*sizes.values()], split))
    train = torch.cat([train, (pool.targets < 0).nonzero().flatten()])
    if config.train_size:
        annotated = pool.targets if pool.given is None else pool.given
        train = train[stratified_split(annotated[train], [config.train_size], split)[0]]
    meta_classes = torch.bincount(pool.targets[meta], minlength=pool.classes)
    if absent := (meta_classes == 0).nonzero().flatten().tolist():
        names = format_list(pool.class_names[c] for c in absent)
        anywhere = set(pool.targets.tolist())
        remedy = "make meta_size larger, or add images of these"
        if not anywhere.issuperset(absent):
            remedy = "add training images of these, or correct the names of the classes"
        raise DataError(
            f"meta_size {config.meta_size}: expected every class of {config.dataset} in the meta set, got none of "
            f"class {names}; {remedy}"
        )
    drawn = pool[val[0]] if validation is None else _draw_validation(config, validation, split)
    return DataSplits(pool[train], _noisy_labels(config, pool[train]), pool[meta], drawn)


def count_trainable(config: RunConfig) -> int:
    """Return how many images meta and validation part leave to train on."""
    return len(load_pool(config)) - sum(_sizes(config, load_validation(config)).values())


def _sizes(config: RunConfig, validation: Images | None) -> dict[str, int]:
    """Sizes of the parts that are drawn from the pool beside the training part, by the name of the setting."""
    names = ["meta_size"] if validation is not None else ["meta_size", "val_size"]
    return {name: getattr(config, name) for name in names}


def _draw_validation(config: RunConfig, validation: Images, stream: torch.Generator) -> Images:
    known = (validation.targets >= 0).nonzero().flatten()
    if config.val_size > len(known):
        raise DataError(
            f"val_size: expected at most the {len(known)} validation images of {config.dataset}, got "
            f"{config.val_size}; make it smaller, or move images from train/ there"
        )
    return validation[known[stratified_split(validation.targets[known], [config.val_size], stream)[0]]]


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
