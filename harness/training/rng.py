"""Independent random streams, one per purpose and seed.

Split, noise, initial weights, order of images and meta batches each draw from their own stream. So changing one setting
(the noise, say) leaves the draws of the others as they were, and runs that share a seed are paired.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from harness.common.seeds import derive_seed


def generator(seed: int, purpose: str) -> torch.Generator:
    """Return a CPU generator for `purpose`."""
    return torch.Generator().manual_seed(derive_seed(seed, purpose))


class GlobalStream:
    """Torch's global random state as a stream of its own: dropout and initialisers draw from it within `active()`."""

    def __init__(self, seed: int, purpose: str) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(seed, purpose))
            self._read_state()

    @contextmanager
    def active(self) -> Iterator[None]:
        with torch.random.fork_rng():
            torch.set_rng_state(self.state[0].cpu())
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all([s.cpu() for s in self.state[1 : 1 + torch.cuda.device_count()]])
            yield
            self._read_state()

    def _read_state(self) -> None:
        self.state = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
