"""A user's own networks, found by `model: tests.training.own_models:NAME`."""

import torch
from torch import nn

from harness.training.models import Shape
from harness.training.models.small_networks import mlp


def with_dropout(shape: Shape, classes: int, width: int) -> nn.Module:
    return nn.Sequential(mlp(shape, width, width), nn.ReLU(), nn.Dropout(0.3), nn.Linear(width, classes))


def of_one_logit(shape: Shape, classes: int, width: int) -> nn.Module:
    return mlp(shape, 1, width)


class Upside(nn.Module):
    """Fails on any image."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the wrong way up")


def failing(shape: Shape, classes: int, width: int) -> nn.Module:
    return Upside()
