"""Passes over a model that leave no trace: other weights for a while, buffers on loan, random state put back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def weights_at(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Let the parameters hold `values` inside the block.

    Storage is swapped, not written: the weights come back bit for bit, and a graph recorded before the block is still
    valid after it. Tied weights, and code that reaches for a weight by another name, follow.
    """
    own = [parameter.data for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        yield
    finally:
        for parameter, value in zip(parameters, own, strict=True):
            parameter.data = value


@contextmanager
def lent_buffers(model: nn.Module) -> Iterator[None]:
    """Let the model move copies of its buffers (BatchNorm's running statistics) inside the block."""
    own: list[tuple[nn.Module, str, Tensor]] = []
    copies: dict[Tensor, Tensor] = {}
    try:
        for module in model.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    own.append((module, name, buffer))
                    if buffer not in copies:
                        copies[buffer] = buffer.clone()
                    module._buffers[name] = copies[buffer]
        yield
    finally:
        for module, name, buffer in own:
            module._buffers[name] = buffer


class RandomState:
    """The random generators of the CPU and of one device, as they stand now."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put the generators back after the block."""
        try:
            yield
        finally:
            self.restore()

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Let the block draw what was drawn from here on, and go on after it as if it had not been."""
        now = RandomState(self.device)
        self.restore()
        with now.kept():
            yield


@contextmanager
def gradients_kept(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Let `.grad` be empty inside the block, and put the gradients back after it."""
    own = [parameter.grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.grad = None
        yield
    finally:
        for parameter, gradient in zip(parameters, own, strict=True):
            parameter.grad = gradient
