"""The label gradient by double backward: the reference, and how microsoft/MLC or Meta-Weight-Net compute theirs.

    ∂M/∂Y = (∂θ'/∂Y)ᵀ v,    v = ∇M(θ')

with ∂θ'/∂Y taken by autograd through the training pass's own backward pass, which it must therefore record.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.metalabel.gradients.estimators import MetaStep, meta_pass, scale_of
from harness.metalabel.lookahead import Lookahead
from harness.metalabel.losses import check_logits, soft_cross_entropy
from harness.metalabel.model_state import uncompiled


def reverse(
    model: nn.Module,
    lookahead: Callable[[], Lookahead],
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
) -> MetaStep:
    """The `Method` of this file."""
    with torch.enable_grad():
        weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
        with uncompiled(model):
            logits = model(inputs)
        check_logits(logits, labels, "labels")
        free_labels = labels.detach().to(torch.promote_types(logits.dtype, torch.float32)).requires_grad_()
        loss = soft_cross_entropy(logits, free_labels)
        fresh = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)

        total: dict[Tensor, Tensor] = {}
        for weight, gradient in zip(weights, fresh, strict=True):
            if gradient is not None:
                before = weight.grad
                total[weight] = gradient if before is None else before + gradient
                weight.grad = total[weight].detach().clone()

        ahead = lookahead()
        parameters = ahead.parameters
        places = ahead.ahead([total[parameter] for parameter in parameters])
    meta = meta_pass(model, parameters, [place.detach() for place in places], meta_inputs, meta_targets)
    tracked = [(place, v) for place, v in zip(places, meta.ascent, strict=True) if place.grad_fn is not None]
    (gradient,) = torch.autograd.grad([place for place, _ in tracked], free_labels, [v for _, v in tracked])
    return MetaStep(loss.detach(), logits.detach(), meta.loss, gradient, scale_of(logits, ahead))
