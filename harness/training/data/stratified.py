"""Cutting images into sets that all have the classes in proportion."""

import torch
from torch import Tensor


def cut(targets: Tensor, sizes: list[int], stream: torch.Generator) -> list[Tensor]:
    """Disjoint index sets of the given sizes, and one of what is left, each with all classes in proportion.

    Shuffled, the images of each class are dealt out evenly over [0, 1); reading them in that order, any prefix holds
    the classes in proportion to within one image.
    """
    order = torch.randperm(len(targets), generator=stream)
    place = torch.empty(len(targets), dtype=torch.float64)
    for c in targets.unique():
        members = order[targets[order] == c]
        offset = torch.rand(1, generator=stream, dtype=torch.float64)
        place[members] = (torch.arange(len(members), dtype=torch.float64) + offset) / len(members)
    dealt = place.argsort(stable=True)
    return list(dealt.split([*sizes, len(targets) - sum(sizes)]))
