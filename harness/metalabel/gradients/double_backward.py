"""The label gradient by double backward: the reference, as Meta-Weight-Net and microsoft/MLC compute theirs.

    ∂M/∂Y = (∂θ'/∂Y)ᵀ v,    v = ∇M(θ')

Autograd differentiates the training pass's own backward pass, whose graph it must record for that.
"""

import torch
from torch import Tensor

from harness.metalabel.gradients.passes import MetaStep, StepInputs, run_meta_pass
from harness.metalabel.losses import check_logits, soft_cross_entropy
from harness.metalabel.model_state import eager_mode


def double_backward(step: StepInputs) -> MetaStep:
    with torch.enable_grad():
        stepped = (parameter for group in step.optimizer.param_groups for parameter in group["params"])
        distinct = dict.fromkeys([*step.model.parameters(), *stepped])
        weights = [parameter for parameter in distinct if parameter.requires_grad]
        with eager_mode(step.modules):
            logits = step.compute_logits(step.inputs)
        check_logits(logits, step.labels, "labels")
        labels = step.labels.detach().to(torch.promote_types(logits.dtype, torch.float32)).requires_grad_()
        loss = soft_cross_entropy(logits, labels)
        fresh = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)

        gradients: dict[Tensor, Tensor] = {}
        for weight, gradient in zip(weights, fresh, strict=True):
            if gradient is not None:
                # Gradients of parameters that the optimiser does not hold add up, as in `backward`.
                gradients[weight] = gradient if weight.grad is None else weight.grad + gradient
                weight.grad = gradients[weight].detach().clone()

        lookahead = step.look_ahead()
        values = lookahead.parameters_after([gradients[parameter] for parameter in lookahead.parameters])
    meta_loss, meta_gradient = run_meta_pass(step, lookahead.parameters, [value.detach() for value in values])
    moved = zip(values, meta_gradient, strict=True)
    pairs = [(value, v) for value, v in moved if v is not None and value.grad_fn is not None]
    (gradient,) = torch.autograd.grad([value for value, _ in pairs], labels, [v for _, v in pairs])
    return MetaStep(loss.detach(), logits.detach(), meta_loss, gradient, lookahead.gradient_scale(len(logits)))
