"""Independent random streams, one per purpose.

A seed never feeds two uses: the split, the noise, the initial weights, the order of images and the meta batches each
draw from a stream of their own, so that changing one setting (the noise, say) leaves the others' draws as they were,
and runs that share a seed are paired.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from harness.common.seeds import derive


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for `purpose`."""
    return torch.Generator().manual_seed(derive(seed, purpose))


class GlobalStream:
    """Torch's global random state as one more stream: what dropout and initialisers draw from.

    Inside `active()` the process draws from this stream; outside, from whatever it drew from before.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, purpose))
            self.state = _global_state()

    @contextmanager
    def active(self) -> Iterator[None]:
        with torch.random.fork_rng():
            _set_global_state(self.state)
            yield
            self.state = _global_state()


def _global_state() -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]


def _set_global_state(state: list[Tensor]) -> None:
    torch.set_rng_state(state[0].cpu())
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state[1 : 1 + torch.cuda.device_count()]])
