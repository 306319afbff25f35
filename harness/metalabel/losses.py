"""Cross-entropy against soft labels, and its gradient at the logits.

    L(θ, Y) = -(1/B) Σ_i Σ_c y_ic log p_c(x_i; θ),    p = softmax f(x; θ)

L is linear in Y: that is what makes the label gradient of `harness.metalabel` a first-order quantity.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The batch's mean cross-entropy in nats, a scalar; both arguments are `[batch, classes]`."""
    return -(targets * F.log_softmax(logits, dim=-1)).sum() / len(logits)


def check_logits(logits: object, targets: Tensor, name: str) -> None:
    """ValueError unless a model gave logits [batch, classes] and the targets, called `name`, fit them."""
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"model: expected logits [batch, classes], got {got}; wrap the model so that it gives them alone"
        )
    if logits.shape != targets.shape:
        raise ValueError(
            f"{name}: expected {list(logits.shape)}, the shape of the model's logits, got {list(targets.shape)}; "
            "pass one column per output of the model"
        )


class Head(NamedTuple):
    """The loss at the logits, and where a backward pass through the network starts; all detached."""

    loss: Tensor  # scalar, nats
    log_probabilities: Tensor  # [batch, classes]
    logit_gradient: Tensor  # [batch, classes]: ∂L/∂f, in the logits' own type


def head(logits: Tensor, targets: Tensor, name: str) -> Head:
    """`soft_cross_entropy` and its gradient at the logits, bit for bit, in few calls and without a graph.

    A small network spends much of a step in such calls. Half-precision logits are raised to float32 first.
    Raises ValueError as `check_logits` does.
    """
    check_logits(logits, targets, name)
    values = logits.detach()
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    log_p = torch.log_softmax(values, dim=-1)
    share = targets.detach().to(values.dtype) * (-1.0 / len(values))
    gradient = torch._log_softmax_backward_data(share, log_p, -1, values.dtype)
    return Head((share * log_p).sum(), log_p, gradient.to(logits.dtype))
