"""The Jacobian-vector product of a recorded forward pass, read off its own autograd graph.

    ḟ = Σ_w (∂f/∂w) · ẇ

Autograd records, at each operation, what its transposed Jacobian needs. That is enough for the Jacobian too, so a
tangent can be pushed through the *same* graph, from the weights to the logits, and no primal value is computed a second
time: dropout masks, batch statistics and pooling indices are those of the training pass by construction, and a model
may be any code that autograd can follow.

The operations that matter have rules in `tangent_rules`. Any other whose backward formula can
be differentiated has one at once: u ↦ node(u) = Jᵀu is linear, and its transpose, which autograd gives, is J.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.metalabel.gradients.tangent_rules import RULES, Node, NoForwardRule, Tangent

Edges = tuple[tuple[Node | None, int], ...]
AccumulateGrad: Any = torch._C._functions.AccumulateGrad  # the node of a leaf


def pushforward(output: Tensor, tangents: Mapping[Tensor, Tensor]) -> Tensor:
    """The tangent of `output` when each leaf moves along its entry of `tangents` (zero where it has none).

    `output` must still hold its graph, so an earlier backward pass needs `retain_graph=True`. Raises NoForwardRule,
    naming the operation, where there is neither a rule nor a differentiable backward formula.
    """
    root = output.grad_fn
    if root is None:
        return torch.zeros_like(output)
    results: dict[Node, Sequence[Tangent]] = {}
    order, waiting = _from_leaves_up(root)
    for node, edges in order:
        if isinstance(node, AccumulateGrad):
            results[node] = (tangents.get(node.variable),)
            continue
        inputs = [None if child is None else results[child][number] for child, number in edges]
        for child, _ in edges:  # a tangent is dropped with its last reader
            if child is not None:
                waiting[child] -= 1
                if not waiting[child]:
                    del results[child]
        results[node] = _pushed(node, inputs)
    tangent = results[root][output.output_nr]
    return torch.zeros_like(output) if tangent is None else tangent


def _from_leaves_up(root: Node) -> tuple[list[tuple[Node, Edges]], dict[Node, int]]:
    """The graph's nodes with their edges, each after all it was computed from; and how often each is read."""
    order: list[tuple[Node, Edges]] = []
    edges: dict[Node, Edges] = {}
    readers: dict[Node, int] = {}
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, finished = stack.pop()
        if finished:
            order.append((node, edges[node]))
        elif node not in edges:
            edges[node] = node.next_functions
            stack.append((node, True))
            for child, _ in edges[node]:
                if child is not None:
                    readers[child] = readers.get(child, 0) + 1
                    stack.append((child, False))
    return order, readers


def _pushed(node: Node, inputs: Sequence[Tangent]) -> Sequence[Tangent]:
    if not any(tangent is not None for tangent in inputs):
        return (None,) * len(node._input_metadata)
    rule = RULES.get(type(node).__name__)
    return _transposed_backward(node, inputs) if rule is None else (rule(node, inputs),)


def _transposed_backward(node: Node, inputs: Sequence[Tangent]) -> Sequence[Tangent]:
    """J·ẋ as the transpose of u ↦ Jᵀu, the node's own backward formula; u = 1, as any u will do for a linear map."""
    try:
        with torch.enable_grad():
            seeds = [
                torch.ones(meta.shape, dtype=meta.dtype, device=meta.device, requires_grad=True)
                for meta in node._input_metadata
            ]
            pulled = node(*seeds) if callable(node) else node.apply(*seeds)
        images, moving = [], []
        for image, tangent in zip(pulled if isinstance(pulled, tuple) else (pulled,), inputs, strict=True):
            if image is None or tangent is None:
                continue
            if image.requires_grad:
                images.append(image)
                # A broadcast input's gradient is summed to its shape by the engine and not by the node: its transpose
                # expands.
                moving.append(tangent.expand_as(image).to(image.dtype))
            elif image.any():
                raise RuntimeError("it gives a gradient that is cut off from its argument")
        if not images:
            return (None,) * len(seeds)
        pushed = torch.autograd.grad(images, seeds, moving, allow_unused=True)
        if all(tangent is None for tangent in pushed):
            raise RuntimeError("it gives a gradient that is cut off from its argument")
    except (RuntimeError, NotImplementedError) as error:
        raise NoForwardRule(
            f"{node.name()} has no forward-mode rule, and its backward formula cannot be differentiated; "
            f'use method="finite_difference" for models that hold it ({error})'
        ) from error
    return pushed
