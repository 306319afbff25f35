"""Argument checks of the label gradient. Each raises ValueError that says what to pass instead."""

import torch
from torch import Tensor, nn


def check_step(model: nn.Module, inputs: Tensor, labels: Tensor, meta_inputs: Tensor, meta_targets: Tensor) -> None:
    """Require a model in train mode with a parameter that requires grad, and one floating label row per input."""
    if not model.training:
        raise ValueError(
            "model: expected train mode, as the lookahead is a training step, got eval mode; call model.train()"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model: expected at least one parameter that requires grad, got none; unfreeze some")
    _check_batch("inputs", inputs, "labels", labels)
    _check_batch("meta_inputs", meta_inputs, "meta_targets", meta_targets)


def check_rate(rate: object) -> None:
    """Require a positive finite learning rate of the lookahead."""
    if not isinstance(rate, int | float | Tensor) or not 0 < float(rate) < float("inf"):
        raise ValueError(f"lookahead_lr: expected a positive finite rate, got {rate!r}; pass a number like 0.1")


def check_on_simplex(name: str, labels: Tensor) -> None:
    """Require rows `[rows, classes]` that are finite, non-negative and sum to one."""
    _check_soft(name, labels)
    check_finite(name, labels := labels.detach())
    # Tolerates the rounding of labels that were normalised in their own dtype, or in float32 and then widened.
    tolerance = max(8 * torch.finfo(labels.dtype).eps, 1e-5)
    least, error = float(labels.min()), float((labels.double().sum(dim=-1) - 1).abs().max())
    if least < -tolerance or error > tolerance:
        raise ValueError(
            f"{name}: expected every row on the simplex (entries ≥ 0, sum 1), got a least entry of {least:.3g} and a "
            f"sum off by {error:.3g}; divide by the row sums, or use harness.metalabel.project_onto_simplex"
        )


def check_finite(name: str, tensor: Tensor) -> None:
    """Require values that are neither NaN nor infinite."""
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: expected finite values, got NaN or infinity; correct or drop these inputs")


def _check_batch(inputs_name: str, inputs: Tensor, name: str, labels: Tensor) -> None:
    for argument, value in ((inputs_name, inputs), (name, labels)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{argument}: expected a tensor, got {type(value).__name__}; pass torch.as_tensor of it")
    _check_soft(name, labels)
    if inputs.dim() == 0 or len(inputs) != len(labels):
        raise ValueError(
            f"{inputs_name}, {name}: expected one label row per input, got shapes {list(inputs.shape)} and "
            f"{list(labels.shape)}; take both from the same batch"
        )
    if len(labels) == 0:
        raise ValueError(f"{inputs_name}, {name}: expected at least one input, got an empty batch")


def _check_soft(name: str, labels: Tensor) -> None:
    if labels.dim() != 2 or not labels.is_floating_point():
        raise ValueError(
            f"{name}: expected floating soft labels [batch, classes], got {labels.dtype} of shape "
            f"{list(labels.shape)}; for class indices, pass torch.nn.functional.one_hot({name}, classes).float()"
        )
