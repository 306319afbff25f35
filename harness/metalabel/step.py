"""The two ways in: `meta_step` for a training loop, `label_gradient` as a pure function.

Their `method` is one of

    forward             exact; 8F with F one forward pass; holds the training activations during the meta pass
    forward_recompute   exact; 9F, with the activations of one batch at a time
    reverse             exact, by double backward; the reference
    finite_difference   close; two extra forward passes; for operations that cannot be differentiated twice
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.metalabel.checks import check_batch, check_model, check_soft_labels, checked_rate
from harness.metalabel.gradients.double_backward import reverse
from harness.metalabel.gradients.estimators import MetaStep, Method
from harness.metalabel.gradients.finite_difference import finite_difference
from harness.metalabel.gradients.forward_mode import forward, forward_recompute
from harness.metalabel.lookahead import SGDLookahead, lookahead_of
from harness.metalabel.model_state import RandomState, gradients_kept, lent_buffers

MethodName = Literal["forward", "forward_recompute", "reverse", "finite_difference"]
METHODS: dict[str, Method] = {
    "forward": forward,
    "forward_recompute": forward_recompute,
    "reverse": reverse,
    "finite_difference": finite_difference,
}


def _method(name: str) -> Method:
    if name not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {name!r}")
    return METHODS[name]


def meta_step(
    model: nn.Module,
    optimizer: Optimizer,
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
    *,
    method: MethodName = "forward",
) -> MetaStep:
    """One training step's gradients, and the label gradient beside them.

    `.grad` is filled as `optimizer.zero_grad(); soft_cross_entropy(model(inputs), labels).backward()` would fill it,
    and running statistics move once. The caller then calls `optimizer.step()`. The lookahead is exactly that step, so
    gradients are not to be clipped or changed in between. `labels` and `meta_targets` are soft, `[batch, classes]`.

    Raises ValueError for shapes that do not fit, class indices in place of soft labels, a model in eval mode, and an
    optimiser without a known lookahead. Values are not looked at: a loss that is NaN comes back as NaN.
    """
    check_model(model)
    check_batch("inputs", inputs, "labels", labels)
    check_batch("meta_inputs", meta_inputs, "meta_targets", meta_targets)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    return _method(method)(model, lambda: lookahead_of(optimizer), inputs, labels, meta_inputs, meta_targets)


def label_gradient(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
    *,
    lookahead_lr: float,
    method: MethodName = "forward",
) -> Tensor:
    """∂M/∂Y, `[batch, classes]`, where the lookahead is one plain SGD step of rate `lookahead_lr` from the weights now.

    `labels` and `meta_targets` are soft, `[batch, classes]`, each row on the simplex. The model is in train mode; it,
    its buffers, its gradients and the random state are left as they were. It may be called under `no_grad`, inference
    mode or autocast. Hooks of the model fire in its training and its meta pass (and in the passes that
    forward_recompute and finite_difference add); of a hook that changes gradients the lookahead is followed, but only
    reverse follows its derivative.

    Raises ValueError, saying what to pass instead, for shapes that do not fit, class indices, labels off the simplex,
    values that are not finite, a model in eval mode, and a rate that is not a positive number.
    """
    compute = _method(method)
    check_model(model)
    check_soft_labels("inputs", inputs, "labels", labels)
    check_soft_labels("meta_inputs", meta_inputs, "meta_targets", meta_targets)
    rate = checked_rate(lookahead_lr)
    weights: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def one_sgd_step() -> SGDLookahead:
        moved: list[Tensor] = [weight for weight in weights if weight.grad is not None]
        return SGDLookahead(moved, None, lr=rate)

    with (
        torch.inference_mode(False),
        RandomState(inputs.device).kept(),
        gradients_kept(weights),
        lent_buffers(model),
    ):
        # Autograd takes no tensors of inference mode, but copies of them.
        batches = (t.clone() if t.is_inference() else t.detach() for t in (inputs, labels, meta_inputs, meta_targets))
        return compute(model, one_sgd_step, *batches).gradient
