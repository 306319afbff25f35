"""Networks by name. A model is a function (shape of one image, classes, width) → `nn.Module`.

A name is one of `MODELS` in `harness.training.config.registry`, a user's own `module:function`, or `torchvision:NAME`,
any classification network of torchvision.
"""

from collections.abc import Callable
from difflib import get_close_matches

import torch
from torch import nn

from harness.common.formatting import format_list
from harness.training.config.registry import MODELS, load_object
from harness.training.config.user_code import add_working_directory, describe_exception
from harness.training.errors import DataError

__all__ = ["Shape", "build_model"]

Shape = tuple[int, int, int]
"""Channels, height, width of one image."""

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

ModelFunction = Callable[[Shape, int, int], nn.Module]


def build_model(name: str, shape: torch.Size, classes: int, width: int) -> nn.Module:
    """Build the named network for images [N, *shape], its weights drawn from torch's global random state.

    DataError if there is none of that name, or it does not give logits [N, classes] for these images.
    """
    kind, _, rest = name.partition(":")
    make = _torchvision_model(rest) if kind == "torchvision" else _model_function(MODELS.get(name, name))
    channels, height, breadth = shape
    if kind == "torchvision" and channels not in (1, 3):
        raise DataError(
            f"model {name}: expected images of 1 or 3 channels, got {channels}; choose {format_list(MODELS)}, or a "
            "function of your own"
        )
    model = make((channels, height, breadth), classes, width)
    if (height, breadth) == (1, 1) and any(isinstance(module, CONVOLUTIONS) for module in model.modules()):
        raise DataError(f"model {name}: expected images, got vectors of {channels} features; choose linear or mlp")
    _check_logits(name, model, shape, classes)
    return model


def _model_function(location: str) -> ModelFunction:
    add_working_directory()
    try:
        function: ModelFunction = load_object(location)
    except (ModuleNotFoundError, AttributeError) as error:
        raise DataError(
            f"model {location}: expected a function of a module that can be imported, got the error: {error}; start "
            "from the folder that holds it, or set PYTHONPATH"
        ) from error
    except (Exception, SystemExit) as error:
        raise DataError(
            f"model {location}: expected a function of a module that can be imported, got {describe_exception(error)}; "
            "mend it"
        ) from error
    return function


def _torchvision_model(name: str) -> ModelFunction:
    import torchvision.models  # takes seconds to import

    # These two return auxiliary logits too in train mode.
    known = sorted({*torchvision.models.list_models(module=torchvision.models)} - {"googlenet", "inception_v3"})
    if name not in known:
        by_likeness = get_close_matches(name, known, n=len(known), cutoff=0)
        raise DataError(f"model torchvision:{name}: expected one of {format_list(by_likeness)}, got '{name}'")

    def make(shape: Shape, classes: int, width: int) -> nn.Module:
        model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
        return nn.Sequential(GreyToRGB(), model) if shape[0] == 1 else model

    return make


class GreyToRGB(nn.Module):
    """Grey images as the three equal channels that torchvision's networks expect."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.expand(-1, 3, -1, -1)


def _check_logits(name: str, model: nn.Module, shape: torch.Size, classes: int) -> None:
    """Pass two images in eval mode, which draws no random number and changes no state."""
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(2, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise DataError(
            f"model {name}: expected a network for images {list(shape)}, got the error: {error}; "
            "choose another model, or set image_size"
        ) from error
    model.train()
    if getattr(logits, "shape", None) != (2, classes):
        got = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise DataError(f"model {name}: expected logits [2, {classes}] for two images, got {got}; choose another model")
