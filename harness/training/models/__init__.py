"""Networks by name: a function (shape of one image, classes, width) → module, for one's own as for those here.

The registry is `harness.training.config.names.MODELS`, which needs no torch: a name there, or a user's own
`module:function`, says where the function stands. `torchvision:NAME` is any classification network of torchvision,
made for the classes at hand.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from harness.training.config.names import MODELS
from harness.training.data import DataError
from harness.training.models.shape import Shape

__all__ = ["ModelError", "Shape", "build"]

Build = Callable[[Shape, int, int], nn.Module]


class ModelError(DataError):
    """A model that cannot be had, or that does not fit the data; says what to do."""


def build(name: str, shape: torch.Size, classes: int, width: int) -> nn.Module:
    """The named network for images [N, *shape], its weights drawn from torch's global random state.

    Raises:
        ModelError: there is none of that name, or it does not give logits [N, classes] for these images.
    """
    channels, height, breadth = shape
    kind, _, rest = name.partition(":")
    make = _of_torchvision(rest) if kind == "torchvision" else _function(MODELS.get(name, name))
    model = make((channels, height, breadth), classes, width)
    _try(name, model, shape, classes)
    return model


def _function(place: str) -> Build:
    module, _, function = place.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # a worker's path may lack the folder that the user stands in
        sys.path.append(here)
    try:
        found: Build = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"model {place}: expected a module that can be imported, got '{error.name}', which cannot; "
            "start from the folder that holds it, or set PYTHONPATH"
        ) from error
    except AttributeError as error:
        raise ModelError(f"model {place}: expected a function '{function}' in {module}, got none; add it") from error
    return found


def _of_torchvision(name: str) -> Build:
    import torchvision.models  # costs seconds, and only these need it

    # The two left out give no plain logits in train mode, but auxiliary ones beside them.
    known = sorted({*torchvision.models.list_models(module=torchvision.models)} - {"googlenet", "inception_v3"})
    if name not in known:
        raise ModelError(f"model torchvision:{name}: expected one of {', '.join(known)}, got '{name}'")

    def make(shape: Shape, classes: int, width: int) -> nn.Module:
        model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
        return nn.Sequential(Coloured(), model) if shape[0] == 1 else model

    return make


class Coloured(nn.Module):
    """Grey images as the three equal channels that torchvision's networks expect."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.expand(-1, 3, -1, -1)


def _try(name: str, model: nn.Module, shape: torch.Size, classes: int) -> None:
    """One pass in eval mode, which draws nothing and moves nothing."""
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(2, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(
            f"model {name}: expected a network for images {list(shape)}, got the error: {error}; "
            "choose another model, or set image_size"
        ) from error
    model.train()
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        got = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(
            f"model {name}: expected logits [2, {classes}] for two images, got {got}; choose another model"
        )
