"""Stratified random splits."""

import torch
from torch import Tensor


def stratified_split(targets: Tensor, sizes: list[int], stream: torch.Generator) -> list[Tensor]:
    """Return disjoint index sets of the given sizes, then one of the rest, each with all classes in proportion.

    The shuffled images of each class are spread evenly over [0, 1). In the order of these positions, any prefix holds
    the classes in proportion to within one image.
    """
    order = torch.randperm(len(targets), generator=stream)
    position = torch.empty(len(targets), dtype=torch.float64)
    for c in targets.unique():
        members = order[targets[order] == c]
        offset = torch.rand(1, generator=stream, dtype=torch.float64)
        position[members] = (torch.arange(len(members), dtype=torch.float64) + offset) / len(members)
    return list(position.argsort(stable=True).split([*sizes, len(targets) - sum(sizes)]))
