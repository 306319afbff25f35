"""Backward passes by autograd's engine, without the front door.

`torch.autograd.grad` and `Tensor.backward` look at every argument for subclasses, shapes and hooks before they call the
engine: 20–25 µs a call, a tenth of a step of a small network, and there are three such calls in a meta-step. What
stands here is the call that both end in.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_run = torch.autograd.Variable._execution_engine.run_backward


def fill_gradients(output: Tensor, gradient: Tensor, *, keep_graph: bool) -> None:
    """`output.backward(gradient, retain_graph=keep_graph)`: add to the `.grad` of all leaves."""
    if output.requires_grad:
        _run((output,), (gradient,), keep_graph, False, (), True, accumulate_grad=True)


def gradients_of(output: Tensor, gradient: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    """`torch.autograd.grad(output, leaves, gradient)`, with zeros for leaves that `output` does not depend on."""
    if not output.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = _run((output,), (gradient,), False, False, tuple(leaves), True, accumulate_grad=False)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]
