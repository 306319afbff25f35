"""Entry points: `meta_step` for a training loop, `compute_label_gradient` as a pure function."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.metalabel.checks import check_batch, check_model, check_soft_labels, parse_rate
from harness.metalabel.gradients.estimators import EstimatorName, find_estimator
from harness.metalabel.gradients.step_inputs import MetaStep, StepInputs
from harness.metalabel.lookahead import SGDLookahead, make_lookahead
from harness.metalabel.model_state import RandomState, empty_gradients, temporary_buffers


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
        inputs: `[batch, ...]`.
        labels: soft labels `[batch, classes]`.
        meta_inputs: `[meta_batch, ...]`.
        meta_targets: soft labels `[meta_batch, classes]`.
        label_gradient: how the label gradient is computed (`gradients.estimators`).

    Raises:
        ValueError: shapes that do not fit, class indices in place of soft labels, a model in eval mode, an optimiser
            without a known lookahead, or an operation that the estimator cannot differentiate (`NoForwardRule`).
    """
    check_model(model)
    check_batch("inputs", inputs, "labels", labels)
    check_batch("meta_inputs", meta_inputs, "meta_targets", meta_targets)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    estimate = find_estimator(label_gradient)
    return estimate(StepInputs(model, lambda: make_lookahead(optimizer), inputs, labels, meta_inputs, meta_targets))


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

    The arguments are those of `meta_step`. The model, its buffers, its gradients and the random state are left as they
    were. It may be called under `no_grad`, inference mode or autocast. Hooks of the model run in every pass. If a hook
    changes gradients, the lookahead follows; only double_backward follows the hook's derivative.

    Raises:
        ValueError: as `meta_step`, and for labels off the simplex, values that are not finite, and a rate that is not
            a positive number.
    """
    estimate = find_estimator(label_gradient)
    check_model(model)
    check_soft_labels("inputs", inputs, "labels", labels)
    check_soft_labels("meta_inputs", meta_inputs, "meta_targets", meta_targets)
    rate = parse_rate(lookahead_lr)
    weights: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def sgd_lookahead() -> SGDLookahead:
        return SGDLookahead([weight for weight in weights if weight.grad is not None], None, lr=rate)

    with (
        torch.inference_mode(False),
        RandomState(inputs.device).restore_after(),
        empty_gradients(weights),
        temporary_buffers(model),
    ):
        # Autograd refuses tensors made in inference mode, and takes copies of them.
        batches = (t.clone() if t.is_inference() else t.detach() for t in (inputs, labels, meta_inputs, meta_targets))
        return estimate(StepInputs(model, sgd_lookahead, *batches)).gradient
