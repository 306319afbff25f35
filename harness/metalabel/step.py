"""Entry points: `meta_step` for a training loop, `compute_label_gradient` as a pure function."""

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from harness.metalabel.checks import check_finite, check_on_simplex, check_rate, check_step
from harness.metalabel.gradients import ESTIMATORS, EstimatorName
from harness.metalabel.gradients.passes import MetaStep, StepInputs
from harness.metalabel.model_state import random_devices, temporary_buffers


def meta_step(
    model: nn.Module,
    optimizer: Optimizer,
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
    *,
    label_gradient: EstimatorName = "forward",
) -> MetaStep:
    """Compute one training step's gradients together with the label gradient.

    It fills `.grad` as `optimizer.zero_grad(); soft_cross_entropy(model(inputs), labels).backward()` would, and updates
    running statistics once. The caller then calls `optimizer.step()`. The lookahead is exactly that step, so gradients
    must not be clipped or changed in between. Values are not checked: a loss that is NaN is returned as NaN.

    Args:
        model: in train mode; returns logits `[batch, classes]`.
        optimizer: SGD, Adam or AdamW of torch.
        inputs, labels: `[batch, ...]` with soft labels `[batch, classes]`.
        meta_inputs, meta_targets: `[meta_batch, ...]` with soft labels `[meta_batch, classes]`.
        label_gradient: how the label gradient is computed (`gradients`).

    Raises:
        ValueError: shapes that do not fit, class indices in place of soft labels, a model in eval mode, an optimiser
            without a known lookahead, or an operation that the estimator cannot differentiate (`NoForwardRule`).
    """
    check_step(model, inputs, labels, meta_inputs, meta_targets)
    if label_gradient not in ESTIMATORS:
        raise ValueError(f"label_gradient: expected one of {', '.join(ESTIMATORS)}, got {label_gradient!r}")
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    return ESTIMATORS[label_gradient](StepInputs(model, optimizer, inputs, labels, meta_inputs, meta_targets))


def compute_label_gradient(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
    *,
    lookahead_lr: float,
    label_gradient: EstimatorName = "forward",
) -> Tensor:
    """∂M/∂Y, `[batch, classes]`, for a lookahead of one plain SGD step of rate `lookahead_lr` from the present weights.

    The other arguments are those of `meta_step`. The model, its buffers, its gradients and the random state are left as
    they were. It may be called under `no_grad`, inference mode or autocast. Hooks of the model run in every pass. If a
    hook changes gradients, the lookahead follows; only double_backward follows the hook's derivative.

    Raises:
        ValueError: as `meta_step`, and for labels off the simplex, values that are not finite, and a rate that is not
            a positive number.
    """
    check_step(model, inputs, labels, meta_inputs, meta_targets)
    check_rate(lookahead_lr)
    check_finite("inputs", inputs)
    check_finite("meta_inputs", meta_inputs)
    check_on_simplex("labels", labels)
    check_on_simplex("meta_targets", meta_targets)
    weights: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    own = [weight.grad for weight in weights]
    generators = torch.random.fork_rng(random_devices(inputs.device))
    try:
        with torch.inference_mode(False), generators, temporary_buffers(model):
            # Autograd refuses tensors made in inference mode, and takes copies of them.
            given = inputs, labels, meta_inputs, meta_targets
            batches = (tensor.clone() if tensor.is_inference() else tensor.detach() for tensor in given)
            optimizer = SGD(weights, lr=float(lookahead_lr))
            return meta_step(model, optimizer, *batches, label_gradient=label_gradient).gradient
    finally:
        for weight, gradient in zip(weights, own, strict=True):
            weight.grad = gradient
