"""Context managers that change a model's parameters, buffers or random state, and restore them."""

from collections.abc import Iterator, Mapping, Sequence
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


@contextmanager
def frozen(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Let passes inside the block record no gradient of the parameters, all of which require one."""
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def temporary_buffers(modules: Sequence[nn.Module], values: Mapping[Tensor, Tensor] | None = None) -> Iterator[None]:
    """Let passes inside the block update copies of the modules' own buffers, such as BatchNorm's running statistics.

    The copies start from `values`, by buffer, or from present values.
    """
    start = values or {}
    own = [(held, *item) for held in map(buffers, modules) for item in held.items()]
    copies = {buffer: start.get(buffer, buffer).clone() for _, _, buffer in own if buffer is not None}
    try:
        for held, name, buffer in own:
            if buffer is not None:
                held[name] = copies[buffer]
        yield
    finally:
        for held, name, buffer in own:
            held[name] = buffer


@contextmanager
def eager_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Run a model of these modules uncompiled inside the block, where one of them is compiled.

    A compiled graph is one opaque operation: it has neither a second derivative nor a tangent, and draws other random
    numbers than its source.
    """
    if any(map(is_compiled, modules)):
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


def random_devices(device: torch.device) -> list[torch.device]:
    """The devices, besides the CPU, on which a pass draws random numbers; as `torch.random.fork_rng` takes them."""
    return [device] if device.type == "cuda" else []


class PassReplay:
    """The random state and the modules' buffers of this moment, to repeat a pass that starts now."""

    def __init__(self, modules: Sequence[nn.Module], device: torch.device) -> None:
        self.modules = modules
        own = (buffer for held in map(buffers, modules) for buffer in held.values() if buffer is not None)
        self.buffers = {buffer: buffer.clone() for buffer in own}
        self.cpu_state = torch.get_rng_state()
        self.device_states = {other: torch.cuda.get_rng_state(other) for other in random_devices(device)}

    @contextmanager
    def start(self) -> Iterator[None]:
        """Start the block from this state; after it, all is as it was before it."""
        with torch.random.fork_rng(self.device_states), temporary_buffers(self.modules, self.buffers):
            torch.set_rng_state(self.cpu_state)
            for device, state in self.device_states.items():
                torch.cuda.set_rng_state(state, device)
            with eager_mode(self.modules):
                yield
