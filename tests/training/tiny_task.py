"""A task of a few random images, for methods to be asked one step at a time."""

from typing import Any

import torch
from torch import Tensor, nn

from harness.training.config.methods import MetaStepParameters
from harness.training.config.run_config import RunConfig
from harness.training.data.images import Images
from harness.training.data.meta_set import MetaSet
from harness.training.methods import Batch, Task

IMAGES, TRUSTED, META, CLASSES, PIXELS = 7, 2, 5, 3, 4
"""Training images, images of the meta set among those that may be trained on, the meta set, classes, pixels of each."""


def task(seed: int = 0, model: nn.Module | None = None, **settings: Any) -> Task:
    """Of one linear layer stepped by plain SGD at rate 0.1, unless said otherwise."""
    stream = torch.Generator().manual_seed(seed)
    config = RunConfig().model_copy(update={"batch_size": IMAGES, **settings})
    if model is None:
        model = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, CLASSES))
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(torch.randn(weight.shape, generator=stream))
    meta = Images.from_tensors(torch.randn(META, 1, 2, 2, generator=stream), torch.arange(META) % CLASSES, CLASSES)
    given = torch.randint(CLASSES, (IMAGES + TRUSTED,), generator=stream)
    trusted = torch.arange(IMAGES + TRUSTED) >= IMAGES
    return Task(
        config,
        model,
        torch.optim.SGD(model.parameters(), lr=0.1),
        CLASSES,
        given,
        trusted,
        MetaSet(meta, MetaStepParameters(meta_batch_size=META), stream),
        10 + torch.arange(IMAGES + TRUSTED),
        lambda rows: pixels_of(seed)[rows],
    )


def pixels_of(seed: int) -> Tensor:
    """Pixels of all images of a task, [images, 1, 2, 2]."""
    return torch.randn(IMAGES + TRUSTED, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


def batch(of: Task, *index: int, step: int = 0, lr_factor: float = 1.0, seed: int = 1) -> Batch:
    """Those images of the task; all its training images where none are named."""
    chosen = torch.tensor(index) if index else torch.arange(IMAGES)
    return Batch(chosen, pixels_of(seed)[chosen], of.given[chosen], of.trusted[chosen], step, lr_factor)


def logits_of(rows: int, seed: int = 2, scale: float = 2.0) -> Tensor:
    """Random logits [rows, classes] that ask for a gradient."""
    drawn = torch.randn(rows, CLASSES, generator=torch.Generator().manual_seed(seed))
    return (scale * drawn).requires_grad_()


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(loss, logits, retain_graph=True)
    return slope
