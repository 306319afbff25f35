"""What a method is: a way to treat labels that may be wrong.

A method sees batches of images with the classes they were annotated with, and the meta set. It never sees a true class
of a training image: `Task` does not hold them. It fills the model's gradients for each model step; the run then steps.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from harness.training.config.run_config import RunConfig
from harness.training.data.meta_set import MetaSet


@dataclass(frozen=True)
class Batch:
    """One model step's images. `index` names them among the images of the task: training images, then the meta set."""

    index: Tensor  # [batch] int64
    inputs: Tensor  # [batch, channels, height, width], augmented
    given: Tensor  # [batch] int64: the class each is annotated with
    trusted: Tensor  # [batch] bool: of the meta set, annotated rightly
    step: int  # model steps of the run before this one
    lr_factor: float  # the model's learning rate now, as a share of its start


@dataclass(frozen=True)
class Task:
    """What a method works with. Model and optimiser are the run's own, and live."""

    config: RunConfig
    model: nn.Module
    optimizer: Optimizer
    classes: int
    given: Tensor  # [images] int64: annotated classes of the training images, then of the meta set
    trusted: Tensor  # [images] bool: of the meta set
    meta: MetaSet
    images: Tensor  # [images] int64: which of the pool each is

    @property
    def trained_on(self) -> Tensor:
        """The images that an epoch passes over, as indices: the meta set's only where the run says so."""
        index = torch.arange(len(self.given), device=self.given.device)
        return index if self.config.train_on_meta else index[~self.trusted]

    def smoothed(self, given: Tensor) -> Tensor:
        """The labels of annotated classes [n] with `label_smoothing` of their mass spread evenly: [n, classes]."""
        share = self.config.label_smoothing
        return (1 - share) * functional.one_hot(given, self.classes).float() + share / self.classes

    def steps(self, images: int) -> int:
        """Model steps of a pass over that many images."""
        return -(-images // self.config.batch_size)


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs over the same images, with a course of the learning rate of its own."""

    epochs: int
    images: Tensor  # [n] int64: what an epoch passes over
    lr: float  # at its start
    anew: bool = False  # begins with fresh weights


class Method(Protocol):
    """A way to treat labels.

    The bodies here are what most methods leave as it is: one phase, one loss a batch, labels as given, no state. A
    method subclasses this and says what differs.
    """

    labels_move: ClassVar[bool] = False
    """Whether `labels` changes over a run."""

    task: Task

    def __init__(self, task: Task) -> None:
        self.task = task

    def phases(self) -> list[Phase]:
        """The course of the run; the epochs add up to `config.epochs`."""
        return [Phase(self.task.config.epochs, self.task.trained_on, self.task.config.lr)]

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """What the model descends on this batch: a scalar in nats, given logits [batch, classes]."""
        raise NotImplementedError

    def step(self, batch: Batch) -> Tensor:
        """Fill the model's gradients for one model step; returns the training loss, detached."""
        self.task.optimizer.zero_grad()
        loss = self.loss(self.task.model(batch.inputs), batch)
        loss.backward()
        return loss.detach()

    def end_epoch(self) -> None:
        """What happens between two epochs."""

    def labels(self) -> Tensor:
        """The soft labels now in force, [images, classes]: what the method takes each image to be."""
        return functional.one_hot(self.task.given, self.task.classes).float()

    def measured(self) -> dict[str, float]:
        """What the method itself measured in the epoch that has ended; see `harness.training.metrics`."""
        return {}

    def class_labels(self) -> Tensor | None:
        """The labels by annotated class, [classes, classes], where a class has one for all its images."""
        return None

    def tensors(self) -> dict[str, Tensor]:
        """The method's state, changed in place alone."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {name: tensor.clone() for name, tensor in self.tensors().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, tensor in self.tensors().items():
            tensor.copy_(state[name])
