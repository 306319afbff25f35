"""How many parameters stand in the last layers of a network: what `meta_step` takes as `last`.

    head     the last layer with parameters
    block    the head, and from the last block or layer before it on that is more than a normalisation

Layers come in the order in which the model holds them. Blocks are the modules of a container: a `Sequential`, a
`ModuleList`, a `ModuleDict`, or a module that holds a stack of blocks in one, as a transformer's encoder does.
"""

from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn

LayerChoice = Literal["all", "block", "head"]
CONTAINERS = nn.Sequential | nn.ModuleList | nn.ModuleDict


def count_last_parameters(model: nn.Module, layers: LayerChoice) -> int | None:
    """Number of parameter tensors from the first of these layers on, frozen ones not counted; None for all.

    ValueError for another name of layers.
    """
    if layers == "all":
        return None
    if layers not in ("block", "head"):
        raise ValueError(f"layers: expected all, block or head, got {layers!r}; choose one of the three")
    blocks = [*_blocks(model)]
    while any(map(_trainable, blocks[-1].children())):
        blocks[-1:] = _blocks(blocks[-1])
    chosen = blocks[-1:]
    if layers == "block":
        # A normalisation's parameters are vectors.
        before = [block for block in blocks[:-1] if any(weight.dim() > 1 for weight in _trainable(block))]
        chosen = before[-1:] + chosen
    parameters = _trainable(model)
    positions = {parameter: position for position, parameter in enumerate(parameters)}
    return len(parameters) - min(positions[parameter] for block in chosen for parameter in _trainable(block))


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Children with parameters, those of containers in place of these; the module itself where there are none."""
    children = [child for child in module.children() if _trainable(child)]
    for child in children:
        if isinstance(child, CONTAINERS) or any(map(_is_stack, child.children())):
            yield from _blocks(child)
        else:
            yield child
    if not children:
        yield module


def _is_stack(module: nn.Module) -> bool:
    """Whether it is a container of modules that have parts of their own."""
    parts = [*module.children()]
    stacked = [bool([*part.children()]) and not isinstance(part, CONTAINERS) for part in parts]
    return isinstance(module, CONTAINERS) and bool(parts) and all(stacked)


def _trainable(module: nn.Module) -> list[Tensor]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
