"""Clipping of gradients to a norm, as `torch.nn.utils.clip_grad_norm_`, and its derivative.

    clip(g) = κ g,    κ = min(1, c / (n + ε)),    n = ‖g‖ over all parameters,  ε = 1e-6

    (∂clip/∂g)ᵀ v = κ (v - g ⟨g, v⟩ / (n (n + ε)))  where κ < 1, and v elsewhere

Gradients and vectors are one tensor per parameter. A vector that is None is left out of ⟨g, v⟩ and of the result.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.linalg import vector_norm

from harness.metalabel.torch_internals import Tensors

EPSILON = 1e-6  # as torch's


def clip(gradients: Tensors, max_norm: float) -> Tensors:
    """κ g with c = `max_norm`; differentiable."""
    factor = torch.clamp(max_norm / (_norm(gradients) + EPSILON), max=1.0)
    return [gradient * factor.to(gradient.device) for gradient in gradients]


def clip_pullback(gradients: Tensors, vectors: Sequence[Tensor | None], max_norm: float) -> Sequence[Tensor | None]:
    """The transposed derivative of `clip` at these gradients, applied to the vectors."""
    norm = _norm(gradients)
    factor = max_norm / (norm + EPSILON)
    clipped = factor < 1
    pairs = list(zip(gradients, vectors, strict=True))
    inner = torch.stack([(g * v).sum().to(norm.device) for g, v in pairs if v is not None]).sum()
    along = inner / (norm * (norm + EPSILON))
    return [
        None if v is None else v.sub(g * along.to(g.device)).mul(factor.to(g.device)).where(clipped.to(g.device), v)
        for g, v in pairs
    ]


def _norm(gradients: Tensors) -> Tensor:
    """n; torch's `get_total_norm` cannot be differentiated."""
    norm: Tensor = vector_norm(torch.stack([vector_norm(gradient).to(gradients[0].device) for gradient in gradients]))
    return norm
