"""Cross-entropy against soft labels, and its gradient at the logits.

    L(θ, Y) = -(1/B) Σ_i Σ_c y_ic log p_c(x_i; θ),    p = softmax f(x; θ)

L is linear in Y: that is what makes the label gradient of `harness.metalabel` a first-order quantity.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over the batch of the cross-entropy in nats; both arguments are `[batch, classes]`, the result a scalar."""
    return -(targets * F.log_softmax(logits, dim=-1)).sum() / len(logits)


class Head(NamedTuple):
    """The loss at the logits, and where a backward pass through the network starts."""

    loss: Tensor  # scalar, detached
    log_probabilities: Tensor  # [batch, classes], detached
    logit_gradient: Tensor  # [batch, classes]: ∂L/∂f, in the logits' own dtype


def head(logits: Tensor, targets: Tensor) -> Head:
    """`soft_cross_entropy` and its gradient at the logits, bit for bit, without the autograd graph of a dozen calls.

    Small networks spend much of a step in such calls. Half-precision logits are raised to float32 first.
    """
    raw = logits.detach()
    values = raw.float() if raw.dtype in (torch.float16, torch.bfloat16) else raw
    targets = targets.to(values.dtype)
    log_p = torch.log_softmax(values, dim=-1)
    batch = len(values)
    loss = -(targets * log_p).sum() / batch
    gradient = torch.ops.aten._log_softmax_backward_data(targets * (-1.0 / batch), log_p, -1, values.dtype)
    return Head(loss, log_p, gradient.to(raw.dtype))
