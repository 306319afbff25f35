"""Cross-entropy with soft labels, and its gradient at the logits.

    L(θ, Y) = -(1/B) Σ_i Σ_c y_ic log p_c(x_i; θ),    p = softmax f(x; θ)

L is linear in Y. Therefore the label gradient needs first derivatives of the model only.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.metalabel.torch_internals import log_softmax_gradient


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of a batch in nats, a scalar; both arguments are `[batch, classes]`."""
    return -(targets * F.log_softmax(logits, dim=-1)).sum() / len(logits)


def logit_loss(logits: Tensor, targets: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """`soft_cross_entropy`, the log-probabilities, and the gradient at the logits, bit for bit autograd's.

    In few calls and without a graph: a small network spends much of a step in such calls. Logits in bfloat16 are
    converted to float32 first; the gradient is in the logits' own dtype. Raises ValueError as `check_logits`.
    """
    check_logits(logits, targets, name)
    values = logits.detach()
    if values.dtype is torch.bfloat16:
        values = values.float()
    log_p = torch.log_softmax(values, dim=-1)
    weights = targets.detach().to(values.dtype) * (-1.0 / len(values))
    gradient = log_softmax_gradient(weights, log_p)
    return (weights * log_p).sum(), log_p, gradient.to(logits.dtype)


def check_logits(logits: object, targets: Tensor, name: str) -> None:
    """ValueError unless a model's output is logits with a graph, of the shape of the targets, called `name`."""
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"model: expected logits [batch, classes], got {got}; pass compute_logits, a function from inputs to "
            "logits such as lambda inputs: model(inputs).logits"
        )
    if logits.shape != targets.shape:
        raise ValueError(
            f"{name}: expected {list(logits.shape)}, the shape of the model's logits, got {list(targets.shape)}; "
            "pass one row per input of the batch and one column per output of the model"
        )
    if not logits.requires_grad:
        raise ValueError(
            "model: expected logits that depend on its parameters, got logits without a gradient; unfreeze "
            "parameters, and compute the logits without detach, no_grad or inference mode"
        )
    if logits.dtype is torch.float16:
        raise ValueError(
            "model: expected logits in float32 or bfloat16, got float16, in which small gradients become 0, as no loss "
            "scale is applied; use torch.autocast with torch.bfloat16"
        )
