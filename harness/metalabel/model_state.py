"""Passes over a model that leave no trace: other weights for a while, buffers on loan, random state put back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def weights_at(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Let the parameters hold `values` inside the block.

    Storage is swapped, not written: the weights come back bit for bit, and a graph recorded before the block is still
    valid after it. Tied weights, and code that reaches for a weight by another name, follow. So must autocast, which
    remembers its casts of a parameter for as long as it lasts, whatever the parameter holds by then.
    """
    own = [parameter.data for parameter in parameters]
    try:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        torch.clear_autocast_cache()
        yield
    finally:
        for parameter, value in zip(parameters, own, strict=True):
            parameter.data = value
        torch.clear_autocast_cache()


def copied_buffers(model: nn.Module) -> dict[Tensor, Tensor]:
    """A copy of each of the model's buffers as it stands now."""
    return {buffer: buffer.clone() for buffer in model.buffers()}


@contextmanager
def lent_buffers(model: nn.Module, copies: dict[Tensor, Tensor] | None = None) -> Iterator[None]:
    """Let the model move copies of its buffers inside the block: BatchNorm's running statistics, a power iteration's
    vectors. They start from `copies`, or from where the buffers stand."""
    own: list[tuple[nn.Module, str, Tensor]] = []
    copies = {} if copies is None else {buffer: copy.clone() for buffer, copy in copies.items()}
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


@contextmanager
def uncompiled(model: nn.Module) -> Iterator[None]:
    """Let calls of `model` run as written where it, or a part of it, is compiled.

    A compiled graph is one opaque operation, which can neither be differentiated twice nor be asked for tangents, and
    draws other random numbers than the code it was made from.
    """
    modules = model.modules()
    if any(module._compiled_call_impl is not None or "_orig_mod" in module._modules for module in modules):
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


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
