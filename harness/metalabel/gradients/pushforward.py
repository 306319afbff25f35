"""The Jacobian-vector product of a recorded forward pass, computed on its own autograd graph.

    ḟ = Σ_w (∂f/∂w) · ẇ

Autograd keeps, for each operation, what its transposed Jacobian needs. The Jacobian needs no more, so a tangent passes
through the same graph from the weights to the logits. No value is computed again: dropout masks, batch statistics and
pooling indices are those of the training pass, and the model may be any code that autograd can follow.

Frequent operations have rules in `tangent_rules`. Any other with a differentiable backward formula needs none:
u ↦ node(u) = Jᵀu is linear, and autograd gives its transpose, which is J.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harness.metalabel.gradients.tangent_rules import RULES, NoForwardRule, Tangent
from harness.metalabel.torch_internals import AccumulateGrad, Node, result_metadata

Edges = tuple[tuple[Node | None, int], ...]


def pushforward(output: Tensor, tangents: Mapping[Tensor, Tensor]) -> Tensor:
    """The tangent of `output` when each leaf moves along its entry of `tangents`, and other leaves do not move.

    `output` must still hold its graph: an earlier backward pass needs `retain_graph=True`. Raises NoForwardRule if an
    operation has neither a rule nor a differentiable backward formula.
    """
    root = output.grad_fn
    if root is None:
        return torch.zeros_like(output)
    order = leaves_first(root)
    last_reader = {child: node for node, edges in order for child, _ in edges}
    results: dict[Node, Sequence[Tangent]] = {}
    for node, edges in order:
        if isinstance(node, AccumulateGrad):
            results[node] = (tangents.get(node.variable),)
            continue
        arguments = [None if child is None else results[child][number] for child, number in edges]
        for child, _ in edges:
            if last_reader[child] is node:
                results.pop(child, None)
        results[node] = _push_through(node, arguments)
    tangent = results[root][output.output_nr]
    return torch.zeros_like(output) if tangent is None else tangent


def leaves_first(root: Node) -> list[tuple[Node, Edges]]:
    """The graph's nodes with their edges, each after those that it reads."""
    order: list[tuple[Node, Edges]] = []
    visited: set[Node] = set()
    stack: list[tuple[Node, Edges | None]] = [(root, None)]
    while stack:
        node, edges = stack.pop()
        if edges is not None:
            order.append((node, edges))
        elif node not in visited:
            visited.add(node)
            edges = node.next_functions
            stack.append((node, edges))
            stack += [(child, None) for child, _ in edges if child is not None]
    return order


def _push_through(node: Node, arguments: Sequence[Tangent]) -> Sequence[Tangent]:
    """The tangents of an operation's results, given those of its arguments."""
    for tangent in arguments:
        if tangent is not None:
            break
    else:
        return (None,) * len(result_metadata(node))
    rule = RULES.get(type(node).__name__)
    return _transpose_backward(node, arguments) if rule is None else (rule(node, arguments),)


def _transpose_backward(node: Node, arguments: Sequence[Tangent]) -> Sequence[Tangent]:
    """J ẋ as the transpose of u ↦ Jᵀu, the node's backward formula. That is linear, so it is transposed at u = 1."""
    try:
        with torch.enable_grad():
            seeds = [
                torch.ones(meta.shape, dtype=meta.dtype, device=meta.device, requires_grad=True)
                for meta in result_metadata(node)
            ]
            returned = node(*seeds) if callable(node) else node.apply(*seeds)
        gradients, tangents = [], []
        for gradient, tangent in zip(returned if isinstance(returned, tuple) else (returned,), arguments, strict=True):
            if gradient is None or tangent is None:
                continue
            if gradient.requires_grad:
                gradients.append(gradient)
                # The engine, not the node, sums the gradient of a broadcast argument to its shape; the transpose of
                # that sum expands.
                tangents.append(tangent.expand_as(gradient).to(gradient.dtype))
            elif gradient.any():
                raise RuntimeError("its backward formula does not depend differentiably on its argument")
        if not gradients:
            return (None,) * len(seeds)
        results = torch.autograd.grad(gradients, seeds, tangents, allow_unused=True)
        if all(tangent is None for tangent in results):
            raise RuntimeError("its backward formula does not depend differentiably on its argument")
    except (RuntimeError, NotImplementedError) as error:
        raise NoForwardRule(
            f"{node.name()} has no forward-mode rule, and its backward formula cannot be differentiated; "
            f"choose the label gradient finite_difference for models with this operation ({error})"
        ) from error
    return results
