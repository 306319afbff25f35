"""Wrong labels, made on purpose.

Symmetric noise: round(rate · N) labels, drawn without replacement, each become one of the other C - 1 classes with
equal chance, so `rate` is exactly the share of wrong labels (some papers also count flips back to the true class).
"""

import torch
from torch import Tensor


def symmetric(targets: Tensor, classes: int, rate: float, generator: torch.Generator) -> Tensor:
    """Class indices [N] with exactly round(rate · N) of them wrong."""
    n = len(targets)
    flipped = torch.randperm(n, generator=generator)[: round(rate * n)]
    shift = torch.randint(1, classes, (len(flipped),), generator=generator)
    noisy = targets.clone()
    noisy[flipped] = (targets[flipped] + shift) % classes
    return noisy


def spoil(targets: Tensor, classes: int, kind: str, rate: float, generator: torch.Generator) -> Tensor:
    """Class indices [N] after noise of the named kind; `none` returns them as they are."""
    return symmetric(targets, classes, rate, generator) if kind == "symmetric" else targets.clone()
