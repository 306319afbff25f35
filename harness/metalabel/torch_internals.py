"""Private names of torch, checked with torch 2.11 and 2.14. No other module of this package uses one.

If a later torch changes one, an AttributeError or TypeError names it, at import or in the first label step. What
operations save is in torch's derivatives.yaml. `tangent_rules` looks rules up by the names of graph nodes: a node under
a new name loses its rule, hence is slower.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

Tensors = list[Tensor] | tuple[Tensor, ...]  # as `foreach_*` take them
Node = Any  # a node of the autograd graph; torch does not export its classes
AccumulateGrad: Any = torch._C._functions.AccumulateGrad

# One kernel for a list of tensors
foreach_add = torch._foreach_add
foreach_mul = torch._foreach_mul
foreach_neg = torch._foreach_neg

# `Tensor.backward` and `torch.autograd.grad` without their 20–25 µs a call, a tenth of a small step
_run_backward = torch.autograd.Variable._execution_engine.run_backward


def backward(output: Tensor, gradient: Tensor, *, keep_graph: bool) -> None:
    """`output.backward(gradient, retain_graph=keep_graph)`: add to the `.grad` of all leaves."""
    if output.requires_grad:
        _run_backward((output,), (gradient,), keep_graph, False, (), True, accumulate_grad=True)


def gradients(output: Tensor, gradient: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    """`torch.autograd.grad(output, leaves, gradient)`, with zeros for leaves that `output` does not depend on."""
    if not output.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    grads = _run_backward((output,), (gradient,), False, False, tuple(leaves), True, accumulate_grad=False)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, grads, strict=True)]


def gradients_at_edges(
    output: Tensor, gradient: Tensor, inputs: Sequence[Tensor | GradientEdge]
) -> tuple[Tensor | None, ...]:
    """`torch.autograd.grad(output, inputs, gradient, retain_graph=True, allow_unused=True)`."""
    grads: tuple[Tensor | None, ...] = _run_backward(
        (output,), (gradient,), True, False, tuple(inputs), True, accumulate_grad=False
    )
    return grads


def backward_from_edges(edges: Sequence[GradientEdge], gradients: Sequence[Tensor]) -> None:
    """`torch.autograd.backward(edges, gradients)`: of several gradients at one edge, the sum counts."""
    _run_backward(tuple(edges), tuple(gradients), False, False, (), True, accumulate_grad=True)


def log_softmax_gradient(gradient: Tensor, log_p: Tensor) -> Tensor:
    """Gradient at the logits [batch, classes] from the one at their log-softmax `log_p`."""
    return torch._log_softmax_backward_data(gradient, log_p, -1, log_p.dtype)


def saved(node: Node, *names: str) -> Any:
    """Value that an operation saved for its backward pass under a name; a tuple for several names."""
    return _getter(names)(node)


@cache
def _getter(names: tuple[str, ...]) -> Callable[[Node], Any]:
    return attrgetter(*("_saved_" + name for name in names))


def saved_or_none(node: Node, name: str) -> Any:
    """`saved`, or None if the operation has nothing of this name."""
    return getattr(node, "_saved_" + name, None)


def result_metadata(node: Node) -> Sequence[Any]:
    """Shape, dtype and device of each result of an operation."""
    metadata: Sequence[Any] = node._input_metadata
    return metadata


def buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """The module's own buffers by name; assigning to the dict replaces them."""
    return module._buffers


def optimizers_without_dynamo() -> None:
    """Let optimisers be made, saved and loaded without `torch._dynamo`, which takes over a second to import.

    Torch imports it to keep these methods out of compiled code, where they never are here.
    """
    if "torch._dynamo" not in sys.modules:
        for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
            method = inspect.unwrap(getattr(torch.optim.Optimizer, name))
            method.__dynamo_disable = method


@torch.no_grad()
def optimizer_step(optimizer: torch.optim.Optimizer) -> None:
    """`optimizer.step()` without its hooks, which import `torch._dynamo` and cost 20 µs a call."""
    inspect.unwrap(type(optimizer).step)(optimizer)


def is_compiled(module: nn.Module) -> bool:
    """Whether `torch.compile(module)` or `module.compile()` made this module."""
    return module._compiled_call_impl is not None or "_orig_mod" in module._modules
