"""A run can be stopped and taken up, keeps the meta set apart, and says when it diverges."""

import math
import re

import pytest
import torch
from torch import nn

from harness.training.config.methods import METHODS
from harness.training.config.run_config import RunConfig
from harness.training.errors import DivergenceError
from harness.training.run import Run
from tests.training.run_helpers import assert_resumes, epochs, same_state, through_a_file

QUICK = RunConfig(noise="symmetric", noise_rate=0.4, width=16, epochs=4, meta_batch_size=60, meta_interval=2)
CONVOLUTIONAL = {"model": "cnn", "width": 4, "meta_size": 50, "batch_size": 256}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"labels": "class"},
        {"method": "one_hot", "train_on_meta": True},
        {"train_on_meta": True},
        CONVOLUTIONAL,
        {"model": "tests.training.own_models:with_dropout"},
        {"label_momentum": 0.9, "label_decay": 0.01, "label_form": "softmax", "label_warmup_epochs": 1},
        {"label_schedule": "model", "optimizer": "adam", "lr": 0.003, "labels": "class", "train_on_meta": True},
        {"optimizer": "adamw", "lr": 0.003, "meta_balanced": True, "augment": "crop_flip_cutout"},
        {"nesterov": True, "retrain_share": 0.5},
        {**CONVOLUTIONAL, "channels_last": True, "retrain_share": 0.5},
        {**CONVOLUTIONAL, "amp": "bf16", "label_gradient": "forward_recompute", "retrain_share": 0.5},
        {"model": "tests.training.own_models:with_dropout", "label_gradient": "forward_recompute"},
        {"label_gradient": "finite_difference"},
        {"nesterov": True, "retrain_share": 0.75},
        {"method": "bootstrapping", "train_on_meta": True},
        {"method": "gce"},
        {"method": "elr"},
        {"method": "online_label_smoothing"},
        {"method": "fine_tuning", "fine_tune_share": 0.25, "train_on_meta": True},
        {"method": "fine_tuning", "fine_tune_share": 0.6},
        {"method": "reweighting", "train_on_meta": True},
        {"method": "reweighting", **CONVOLUTIONAL},
    ],
    ids=lambda settings: " ".join(f"{key}={value}" for key, value in settings.items()) or "instance labels",
)
def test_two_epochs_then_two_from_a_file_are_four_epochs_bit_for_bit(settings: dict[str, object]) -> None:
    config = QUICK.model_copy(update=settings)
    _, whole, second = assert_resumes(config, 4, 2)
    assert torch.equal(second.soft_labels, whole.soft_labels)
    assert whole.done
    assert second.done


def test_a_state_aliases_nothing_of_the_run() -> None:
    run = Run(QUICK)
    epochs(run, 1)
    state, kept = run.state_dict(), through_a_file(run.state_dict())
    epochs(run, 1)
    assert same_state(state, kept)
    resumed = Run(QUICK)
    resumed.load_state_dict(state)
    epochs(resumed, 1)
    assert same_state(state, kept)


def test_a_state_of_another_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected lr 0\.1 as in the saved run, got lr 0\.05"):
        Run(QUICK).load_state_dict(Run(QUICK.model_copy(update={"lr": 0.1})).state_dict())


def test_seeds_give_different_runs() -> None:
    assert epochs(Run(QUICK), 1) != epochs(Run(QUICK.model_copy(update={"seed": 1})), 1)


def trained_on(run: Run, count: int = 1) -> set[bytes]:
    """The images that pass the model in train mode in so many epochs."""
    seen: set[bytes] = set()

    def write_down(model: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if model.training:
            seen.update(image.cpu().numpy().tobytes() for image in inputs[0])

    run.model.register_forward_pre_hook(write_down)
    epochs(run, count)
    return seen


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("reweighting", "distillation")])
def test_the_meta_set_is_trained_on_only_with_train_on_meta(method: str) -> None:
    for train_on_meta in (False, True):
        settings = {"method": method, "train_on_meta": train_on_meta}
        settings |= {"label_warmup_epochs": 1} if method == "learned" else {}
        run = Run(QUICK.model_copy(update=settings))
        train, meta, val = (
            {image.cpu().numpy().tobytes() for image in part.inputs}
            for part in (run.splits.train, run.splits.meta, run.splits.val)
        )
        count = 3 if method == "confident_learning" else 1  # each fold is left out in one of its epochs
        assert trained_on(run, count) == (train | meta if train_on_meta else train)
        assert val.isdisjoint(train | meta)


@pytest.mark.parametrize("settings", [{"lr": 1e12}, {"method": "one_hot", "lr": 1e12}, {"label_lr": 1e30}])
def test_absurd_rates_are_reported_as_divergence_of_a_metric_at_an_epoch(settings: dict[str, object]) -> None:
    run = Run(QUICK.model_copy(update={"schedule": "constant", **settings}))
    with pytest.raises(DivergenceError) as raised:
        epochs(run, 4)
    assert re.fullmatch(r"\w+ is (nan|inf|-inf) after epoch [1-4]", str(raised.value))


def test_the_cosine_rate_starts_at_lr_and_ends_near_nothing() -> None:
    rates = [metrics["lr"] for metrics in epochs(Run(QUICK), 4)]
    steps = 4 * -(-1038 // 64)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.05 * 0.5 * (1 + math.cos(math.pi * (steps - 1) / steps)))
    constant = Run(QUICK.model_copy(update={"schedule": "constant"}))
    assert {metrics["lr"] for metrics in epochs(constant, 2)} == {0.05}
