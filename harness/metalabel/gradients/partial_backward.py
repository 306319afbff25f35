"""A backward pass that keeps the part of the graph through which the tangents of the last parameters pass.

A tangent of these parameters starts at the first of them, and passes the operations between there and the logits. The
engine goes backward through those first, with their saved tensors kept, and then through all the others, whose saved
tensors it frees. The gradients are those of one backward pass. A graph of few operations, such as that of a small
perceptron, is kept whole: two calls of the engine cost 80 µs more than one.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from torch import Tensor
from torch.autograd.graph import GradientEdge

from harness.metalabel.gradients.pushforward import leaves_first
from harness.metalabel.torch_internals import (
    AccumulateGrad,
    Node,
    Tensors,
    backward,
    backward_from_edges,
    gradients_at_edges,
)

SMALL_GRAPH = 16  # nodes, among them one for each parameter


def backward_keeping_last(logits: Tensor, gradient: Tensor, last: Collection[int]) -> None:
    """`logits.backward(gradient)`, after which the graph between some parameters and the logits is still there.

    `last` has the parameters' `id`. Hooks of tensors between the two parts are called twice; what they return counts
    once.
    """
    order = leaves_first(logits.grad_fn)
    if len(order) <= SMALL_GRAPH:
        backward(logits, gradient, keep_graph=True)
        return
    kept: set[Node] = set()
    stages: list[tuple[GradientEdge, Tensor]] = []  # where the second stage starts
    edges: list[GradientEdge] = []
    leaves: list[Tensor] = []
    handles = []

    def collect(cut: Sequence[tuple[int, GradientEdge]], grad_inputs: Sequence[Tensor | None], _: object) -> None:
        stages.extend((edge, gradient_in) for number, edge in cut if (gradient_in := grad_inputs[number]) is not None)

    for node, children in order:
        if isinstance(node, AccumulateGrad):
            if id(node.variable) in last:
                kept.add(node)
                leaves.append(node.variable)
        elif any(child in kept for child, _ in children):
            kept.add(node)
            cut = [
                (number, GradientEdge(child, output))
                for number, (child, output) in enumerate(children)
                if child is not None and child not in kept
            ]
            if cut:
                edges += [edge for _, edge in cut]
                hook: Callable[..., None] = partial(collect, cut)
                handles.append(node.register_hook(hook))
    at_edges = gradients_at_edges(logits, gradient, [*leaves, *edges])
    for handle in handles:
        handle.remove()
    _accumulate(leaves, at_edges)
    if stages:
        backward_from_edges(*zip(*stages, strict=True))


def _accumulate(leaves: Tensors, gradients: Sequence[Tensor | None]) -> None:
    for leaf, gradient in zip(leaves, gradients[: len(leaves)], strict=True):
        if gradient is not None:
            leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
