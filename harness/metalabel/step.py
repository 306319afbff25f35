"""Entry points: `meta_step` for a training loop, `compute_label_gradient` as a pure function."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from harness.metalabel.checks import check_finite, check_inputs, check_on_simplex, check_positive, check_step
from harness.metalabel.gradients import ESTIMATORS, EstimatorName
from harness.metalabel.gradients.passes import MetaStep, StepInputs
from harness.metalabel.model_state import random_devices, temporary_buffers


def meta_step(
    model: nn.Module,
    optimizer: Optimizer,
    inputs: Any,
    labels: Tensor,
    meta_inputs: Any,
    meta_targets: Tensor,
    *,
    label_gradient: EstimatorName = "forward",
    compute_logits: Callable[[Any], Tensor] | None = None,
    max_grad_norm: float | None = None,
    lookahead_lr: float | None = None,
    last: int | None = None,
) -> MetaStep:
    """Compute one training step's gradients together with the label gradient.

    It fills `.grad` as `optimizer.zero_grad(); soft_cross_entropy(model(inputs), labels).backward()` would, and updates
    running statistics once. The caller then calls `optimizer.step()`. The lookahead is exactly that step, so gradients
    must not be changed in between, except by `clip_grad_norm_` where `max_grad_norm` says so. Values are not checked: a
    loss that is NaN is returned as NaN.

    Args:
        model: in train mode. A step of its parameters is looked ahead by, and its buffers are restored.
        optimizer: SGD, Adam or AdamW of torch; with `lookahead_lr` any.
        inputs, labels: `[batch, ...]` with soft labels `[batch, classes]`.
        meta_inputs, meta_targets: `[meta_batch, ...]` with soft labels `[meta_batch, classes]`.
        label_gradient: how the label gradient is computed (`gradients`).
        compute_logits: function from inputs to logits `[batch, classes]`, where that is not `model` itself, such as
            `lambda inputs: model(**inputs).logits`. `inputs` and `meta_inputs` are then whatever it takes.
        max_grad_norm: the caller calls `torch.nn.utils.clip_grad_norm_` with this norm, on the parameters of the
            optimiser, before `optimizer.step()`. `.grad` is filled unclipped.
        lookahead_lr: look ahead by a plain SGD step of this rate, and not by the optimiser's step.
        last: partial lookahead: the label gradient by way of the last so many parameter tensors alone, in the order of
            `model.parameters()`, frozen ones not counted; `count_last_parameters` counts those of the head. It is the
            exact gradient with D v set to zero for all others (`gradients.forward_mode`), and costs less. These are
            frozen during the meta pass.

    Raises:
        ValueError: shapes that do not fit, class indices in place of soft labels, a model in eval mode, logits without
            a gradient or in float16, an optimiser without a known lookahead or of another model, or an operation that
            the estimator cannot differentiate (`NoForwardRule`).
    """
    check_step(model, labels, meta_targets)
    if compute_logits is None:
        check_inputs("inputs", inputs, "labels", labels)
        check_inputs("meta_inputs", meta_inputs, "meta_targets", meta_targets)
    if label_gradient not in ESTIMATORS:
        raise ValueError(f"label_gradient: expected one of {', '.join(ESTIMATORS)}, got {label_gradient!r}")
    if last is not None and (not isinstance(last, int) or isinstance(last, bool) or last < 1):
        raise ValueError(f"last: expected a number of parameter tensors from 1 on, got {last!r}; pass None for all")
    for name, value in (("max_grad_norm", max_grad_norm), ("lookahead_lr", lookahead_lr)):
        if value is not None:
            check_positive(name, value)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    step = StepInputs(
        *(model, list(model.modules())),
        *(compute_logits or model, optimizer),
        *(inputs, labels, meta_inputs, meta_targets),
        *(lookahead_lr, max_grad_norm),
        *((None, ()) if last is None else _split_parameters(model, optimizer, last)),
    )
    return ESTIMATORS[label_gradient](step)


def _split_parameters(model: nn.Module, optimizer: Optimizer, last: int) -> tuple[frozenset[int] | None, list[Tensor]]:
    """The last parameters of the model, by `id`, and all others of model and optimiser that require a gradient.

    None where there are no others.
    """
    own: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    known = {id(parameter) for parameter in own}
    stepped = (parameter for group in optimizer.param_groups for parameter in group["params"])
    others = [parameter for parameter in stepped if id(parameter) not in known and parameter.requires_grad]
    left_out = own[:-last] + others
    return frozenset(map(id, own[-last:])) if left_out else None, left_out


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
    check_step(model, labels, meta_targets)
    check_inputs("inputs", inputs, "labels", labels)
    check_inputs("meta_inputs", meta_inputs, "meta_targets", meta_targets)
    check_positive("lookahead_lr", lookahead_lr)
    check_finite("inputs", inputs)
    check_finite("meta_inputs", meta_inputs)
    check_on_simplex("labels", labels)
    check_on_simplex("meta_targets", meta_targets)
    weights: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not weights:
        raise ValueError("model: expected at least one parameter that requires grad, got none; unfreeze some")
    own = [weight.grad for weight in weights]
    generators = torch.random.fork_rng(random_devices(inputs.device))
    try:
        with torch.inference_mode(False), generators, temporary_buffers(list(model.modules())):
            # Autograd refuses tensors made in inference mode, and takes copies of them.
            given = inputs, labels, meta_inputs, meta_targets
            batches = (tensor.clone() if tensor.is_inference() else tensor.detach() for tensor in given)
            optimizer = SGD(weights, lr=float(lookahead_lr))
            return meta_step(model, optimizer, *batches, label_gradient=label_gradient).gradient
    finally:
        for weight, gradient in zip(weights, own, strict=True):
            weight.grad = gradient
