"""Base class of the training methods: ways to treat labels that may be wrong.

A method is given batches of images with their annotated classes, and the meta set. It never has the true class of a
training image: `Task` does not hold them. It fills the model's gradients for each model step; the run then steps.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from harness.training.batches import batches_per_epoch
from harness.training.config.methods import MethodParameters
from harness.training.config.run_config import RunConfig
from harness.training.data.meta_set import MetaSet


@dataclass(frozen=True)
class Batch:
    """Images of one model step. `index` counts the images of the task: training images, then the meta set."""

    index: Tensor  # [batch] int64
    inputs: Tensor  # [batch, channels, height, width], augmented
    given: Tensor  # [batch] int64: annotated classes
    trusted: Tensor  # [batch] bool: of the meta set, so annotated rightly
    step: int  # model steps of the run before this one
    lr_factor: float | Tensor  # the model's learning rate as a fraction of its start; a tensor [] on a GPU


@dataclass(frozen=True)
class Task:
    """Inputs of a method: settings, model and optimiser of the run, annotated classes, meta set."""

    config: RunConfig
    model: nn.Module
    optimizer: Optimizer
    classes: int
    given: Tensor  # [images] int64: annotated classes of the training images, then of the meta set
    trusted: Tensor  # [images] bool: of the meta set
    meta: MetaSet
    pool_index: Tensor  # [images] int64: index of each image in the pool
    inputs: Callable[[Tensor], Tensor]  # images by their index in the task, [n, channels, height, width]; not augmented

    @property
    def training_index(self) -> Tensor:
        """Images of an epoch: all training images, and with `train_on_meta` the meta set."""
        index = torch.arange(len(self.given), device=self.given.device)
        return index if self.config.train_on_meta else index[~self.trusted]

    @property
    def steps_per_epoch(self) -> int:
        """Model steps of an epoch over `training_index`."""
        return batches_per_epoch(len(self.training_index), self.config.batch_size)

    def smooth_labels(self, given: Tensor, share: float) -> Tensor:
        """Return labels [n, classes]: one-hot, with the fraction `share` of the mass spread evenly."""
        return (1 - share) * functional.one_hot(given, self.classes).float() + share / self.classes


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs over the same images, with its own schedule of the learning rate."""

    epochs: int
    images: Tensor  # [n] int64: the images of an epoch
    lr: float  # at the start
    fresh_model: bool = False  # begins with new weights


class Method:
    """Cross-entropy training in one phase with labels as given, but for what a subclass overrides."""

    Parameters: ClassVar[type[MethodParameters]] = MethodParameters
    """Declares the method's own settings. A space file has them in the method's arms, `parameters` in its runs."""

    updates_labels: ClassVar[bool] = False
    """Whether `soft_labels` changes over a run."""

    static_steps: ClassVar[bool] = False
    """Whether steps of one `step_kind` are the same operations on the same memory: they can be CUDA graphs."""

    state: ClassVar[tuple[str, ...]] = ()
    """Names of the attributes that are the method's state: tensors, only changed in place."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.config = task.config
        self.parameters = task.config.parameters

    def phases(self) -> list[Phase]:
        """Return the phases of the run; their epochs add up to `config.epochs`. It is asked before each epoch."""
        return [Phase(self.config.epochs, self.task.training_index, self.config.lr)]

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the training loss of a batch, a scalar in nats, given logits [batch, classes]."""
        return functional.cross_entropy(logits, batch.given)

    def step(self, batch: Batch) -> Tensor:
        """Fill the model's gradients for one model step and return the training loss, detached.

        For a GPU never to be waited for, it reads no value of a tensor (`float`, `.item()`, `if`), and makes no shape
        that depends on one (a mask as an index, `nonzero`, `unique`): masks go into `torch.where`.
        """
        self.task.optimizer.zero_grad()
        loss = self.loss(self.task.model(batch.inputs), batch)
        loss.backward()
        return loss.detach()

    def step_kind(self, step: int) -> Hashable | None:
        """Return what Python decides in the model step after `step` others, such as whether labels are updated.

        None for a step that cannot be captured as a graph. It is asked only where `static_steps` is true.
        """
        return ()

    def end_epoch(self) -> None:
        """Update what changes between two epochs."""

    def soft_labels(self) -> Tensor:
        """Return the labels now in force, [images, classes]."""
        return functional.one_hot(self.task.given, self.task.classes).float()

    def class_labels(self) -> Tensor | None:
        """Return the labels by annotated class, [classes, classes]; None unless all images of a class share one."""
        return None

    def epoch_metrics(self) -> dict[str, float]:
        """Return the method's own metrics of the epoch that has ended; see `harness.training.metrics`."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.state:
            getattr(self, name).copy_(state[name])
