"""Batches of an epoch: a rest of one image, and networks with BatchNorm, which cannot be trained on one."""

from typing import Any

import pytest
import torch

from harness.common.errors import InputError
from harness.results.sweep_data import example_configs, read_data
from harness.space import Space
from harness.training.batches import BATCH_NORMS, batches_per_epoch, split_into_batches
from harness.training.config.methods import METHODS
from harness.training.config.registry import BATCH_NORM_MODELS, MODELS
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError
from harness.training.models import build_model
from harness.training.run import Run
from tests.training.run_helpers import epochs

BATCH_NORM = RunConfig(model="resnet18", width=2, meta_size=40, val_size=40, train_size=65, batch_size=32, epochs=2)
"""At its end one pixel is left of the digits' 8×8, so that BatchNorm has one value of each channel and image."""


@pytest.mark.parametrize(
    ("images", "batch_size", "sizes"),
    [
        (65, 32, [32, 33]),
        (64, 32, [32, 32]),
        (66, 32, [32, 32, 2]),
        (33, 32, [33]),
        (1, 32, [1]),
        (3, 1, [1, 1, 1]),
        (3, 2, [3]),
    ],
)
def test_a_rest_of_one_image_joins_the_batch_before_it(images: int, batch_size: int, sizes: list[int]) -> None:
    order = torch.randperm(images, generator=torch.Generator().manual_seed(0))
    batches = split_into_batches(order, batch_size)
    assert [len(batch) for batch in batches] == sizes
    assert torch.equal(torch.cat(batches), order)
    assert batches_per_epoch(images, batch_size) == len(sizes)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"distillation"}))
def test_every_method_trains_a_network_with_batchnorm_on_a_rest_of_one(method: str) -> None:
    settings = {"method": method, "noise": "symmetric", "noise_rate": 0.25, "epochs": 4}  # three folds need four
    run = Run(BATCH_NORM.model_copy(update=settings))
    assert len(epochs(run, 4)) == 4
    if method == "learned":
        assert run.model_steps == 8


def test_label_steps_that_wait_for_epochs_count_the_joined_batch_once() -> None:
    run = Run(BATCH_NORM.model_copy(update={"label_warmup_epochs": 1, "noise": "symmetric", "noise_rate": 0.25}))
    first, second = epochs(run, 2)
    assert first["label_moved"] == 0.0
    assert second["label_moved"] > 0.0
    assert "label_gradient_norm" not in first


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"batch_size": 1}, "batch_size"), ({"meta_batch_size": 1}, "meta_batch_size")],
)
def test_batches_of_one_are_refused_for_a_network_with_batchnorm_alone(settings: dict[str, int], name: str) -> None:
    config = BATCH_NORM.model_copy(update={**settings, "train_size": 20, "epochs": 1})
    with pytest.raises(DataError, match=f"^{name}: expected 2 or more for model resnet18, whose BatchNorm needs"):
        Run(config)
    epochs(Run(config.model_copy(update={"model": "mlp"})), 1)


LOW = {"type": "int", "low": 1, "high": 9}


def test_the_models_with_batchnorm_are_known_without_torch() -> None:
    made = {name: build_model(name, torch.Size([1, 16, 16]), 3, 2) for name in MODELS}
    with_batch_norm = {
        name for name, model in made.items() if any(isinstance(module, BATCH_NORMS) for module in model.modules())
    }
    assert with_batch_norm == set(BATCH_NORM_MODELS)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"batch_size": LOW}, "batch_size"),
        ({"batch_size": {"type": "categorical", "choices": [64, 1]}}, "batch_size"),
        ({"meta_batch_size": {"type": "categorical", "choices": [64, 1]}}, "meta_batch_size"),
        ({"model": {"type": "categorical", "choices": ["mlp", "cnn"]}, "batch_size": LOW}, "batch_size"),
    ],
)
def test_a_search_that_may_come_to_batches_of_one_is_refused_before_it_starts(
    parameters: dict[str, Any], name: str
) -> None:
    arm = {"method": "learned", "parameters": parameters}
    space = Space.model_validate({"study": "mine", "fixed": {"model": "resnet18"}, "arms": {"learned": arm}})
    with pytest.raises(InputError, match=f"^{name}: expected 2 or more for model (resnet18|cnn), whose BatchNorm"):
        read_data(example_configs(space))
