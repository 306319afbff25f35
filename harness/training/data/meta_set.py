"""Batches of the meta set: clean images whose loss the label steps descend."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from harness.training.config.methods import MetaStepParameters
from harness.training.data.images import Images, copy_to


class MetaSet:
    """Draws batches of the meta set `images` from `stream`; one no larger than a batch is returned whole."""

    def __init__(self, images: Images, parameters: MetaStepParameters, stream: torch.Generator) -> None:
        self.inputs = images.inputs
        self.classes = images.targets.cpu()
        self.targets = functional.one_hot(images.targets, images.classes).float()
        self.batch_size = parameters.meta_batch_size
        self.balanced = parameters.meta_balanced
        self.stream = stream
        self.held: Tensor | None = None
        self.held_draws = 0

    def draw(self) -> tuple[Tensor, Tensor]:
        """Inputs [batch, channels, height, width] and soft targets [batch, classes]."""
        if self.batch_size >= len(self.inputs):
            return self.inputs, self.targets
        if self.held is not None:
            self.held_draws += 1
        rows = self.draw_rows() if self.held is None else self.held
        return self.inputs[rows], self.targets[rows]

    def draw_rows(self) -> Tensor:
        """The rows of the next batch, int64 [batch], drawn on the CPU and copied to the device."""
        order = torch.randperm(len(self.inputs), generator=self.stream)
        if self.balanced:
            order = order[rank_within_class(self.classes[order]).argsort(stable=True)]
        return copy_to(self.inputs.device, order[: self.batch_size])

    @contextmanager
    def hold(self) -> Iterator[Tensor]:
        """Let `draw` take its rows from the tensor that the block is given, to be filled by whoever holds it."""
        self.held_draws = 0
        self.held = torch.zeros(self.batch_size, dtype=torch.int64, device=self.inputs.device)
        try:
            yield self.held
        finally:
            self.held = None


def rank_within_class(classes: Tensor) -> Tensor:
    """Return for each element of `classes` [n] how many of its class stand before it."""
    return functional.one_hot(classes).cumsum(0).gather(1, classes[:, None])[:, 0] - 1
