"""Context managers that change a model's parameters, buffers, gradients or random state, and restore them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.metalabel.torch_internals import buffers, is_compiled


@contextmanager
def temporary_parameters(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Let the parameters hold `values` inside the block.

    Storage is swapped, not written: the parameters return bit for bit, a graph recorded before the block stays valid,
    and tied weights follow. Autocast caches its casts of a parameter, so its cache is cleared at both swaps.
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


def copy_buffers(model: nn.Module) -> dict[Tensor, Tensor]:
    """A copy of each buffer's value, by buffer."""
    return {buffer: buffer.clone() for buffer in model.buffers()}


@contextmanager
def temporary_buffers(model: nn.Module, values: dict[Tensor, Tensor] | None = None) -> Iterator[None]:
    """Let passes inside the block update copies of the model's buffers, such as BatchNorm's running statistics.

    The copies start from `values`, by buffer, or from present values.
    """
    own: list[tuple[dict[str, Tensor | None], str, Tensor]] = []
    copies = {} if values is None else {buffer: value.clone() for buffer, value in values.items()}
    try:
        for module in model.modules():
            held = buffers(module)
            for name, buffer in held.items():
                if buffer is not None:
                    own.append((held, name, buffer))
                    if buffer not in copies:
                        copies[buffer] = buffer.clone()
                    held[name] = copies[buffer]
        yield
    finally:
        for held, name, buffer in own:
            held[name] = buffer


@contextmanager
def eager_mode(model: nn.Module) -> Iterator[None]:
    """Run `model` uncompiled inside the block, where it or a part of it is compiled.

    A compiled graph is one opaque operation: it has neither a second derivative nor a tangent, and draws other random
    numbers than its source.
    """
    if any(is_compiled(module) for module in model.modules()):
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


def random_devices(device: torch.device) -> list[torch.device]:
    """The devices, besides the CPU, on which a pass draws random numbers; as `torch.random.fork_rng` takes them."""
    return [device] if device.type == "cuda" else []


class RandomState:
    """Present state of the random generators of the CPU and of one device."""

    def __init__(self, device: torch.device) -> None:
        self.cpu = torch.get_rng_state()
        self.others = {other: torch.cuda.get_rng_state(other) for other in random_devices(device)}

    @contextmanager
    def replay(self) -> Iterator[None]:
        """Start the block from this state; after it, the generators are as they were before it."""
        with torch.random.fork_rng(self.others):
            torch.set_rng_state(self.cpu)
            for device, state in self.others.items():
                torch.cuda.set_rng_state(state, device)
            yield


@contextmanager
def empty_gradients(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Let `.grad` be None at the start of the block, and restore the gradients after it."""
    own = [parameter.grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.grad = None
        yield
    finally:
        for parameter, gradient in zip(parameters, own, strict=True):
            parameter.grad = gradient
