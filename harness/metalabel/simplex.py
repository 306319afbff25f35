"""Euclidean projection onto the simplex Δ = {y : y_c ≥ 0, Σ_c y_c = 1}.

    Π(x)_c = max(x_c - τ, 0),    τ such that Σ_c Π(x)_c = 1

With u the entries in falling order, τ is the largest of (u_1 + … + u_k - 1) / k over k (Held, Wolfe and Crowder 1974;
Duchi et al. 2008).
"""

import torch
from torch import Tensor


def project_onto_simplex(points: Tensor) -> Tensor:
    """The nearest point of the simplex to each row of `points`, `[..., classes]`."""
    falling = points.sort(dim=-1, descending=True).values
    counts = torch.arange(1, points.shape[-1] + 1, dtype=points.dtype, device=points.device)
    threshold = ((falling.cumsum(dim=-1) - 1) / counts).amax(dim=-1, keepdim=True)
    return (points - threshold).clamp_(min=0)
