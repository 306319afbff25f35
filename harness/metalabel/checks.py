"""What the label gradient's arguments must be, and what to pass instead where they are not."""

import torch
from torch import Tensor, nn


def check_model(model: nn.Module) -> None:
    """ValueError unless the model is in train mode and has something to learn."""
    if not model.training:
        raise ValueError(
            "model: expected train mode, as the lookahead is a training step, got eval mode; call model.train()"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model: expected at least one parameter that requires grad, got none; unfreeze some")


def checked_rate(rate: object) -> float:
    """The lookahead's rate, a positive finite number, or ValueError."""
    value = float(rate) if isinstance(rate, int | float | Tensor) else 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"lookahead_lr: expected a positive finite rate, got {rate!r}; pass a number like 0.1")
    return value


def check_batch(inputs_name: str, inputs: Tensor, name: str, labels: Tensor) -> None:
    """ValueError unless `labels` is a floating `[batch, classes]` tensor, one row per input."""
    for called, value in ((inputs_name, inputs), (name, labels)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{called}: expected a tensor, got {type(value).__name__}; pass torch.as_tensor of it")
    if not labels.is_floating_point():
        raise ValueError(
            f"{name}: expected floating soft labels [batch, classes], got {labels.dtype} of shape "
            f"{list(labels.shape)}; for class indices, pass torch.nn.functional.one_hot({name}, classes).float()"
        )
    if labels.dim() != 2:
        raise ValueError(
            f"{name}: expected soft labels [batch, classes], got shape {list(labels.shape)}; pass a row per input"
        )
    if inputs.dim() == 0 or len(inputs) != len(labels):
        raise ValueError(
            f"{inputs_name}, {name}: expected one label row per input, got shapes {list(inputs.shape)} and "
            f"{list(labels.shape)}; take both from the same batch"
        )
    if len(labels) == 0:
        raise ValueError(f"{inputs_name}, {name}: expected at least one input, got an empty batch")


def check_soft_labels(inputs_name: str, inputs: Tensor, name: str, labels: Tensor) -> None:
    """`check_batch`, and a look at the values: finite, and each row of `labels` on the simplex."""
    check_batch(inputs_name, inputs, name, labels)
    if inputs.is_floating_point():
        _check_finite(inputs_name, inputs)
    check_on_simplex(name, labels)


def check_on_simplex(name: str, labels: Tensor) -> None:
    """ValueError unless each row of `labels`, `[rows, classes]`, is finite, non-negative and sums to one."""
    if labels.dim() != 2 or not labels.is_floating_point():
        raise ValueError(
            f"{name}: expected floating soft labels [rows, classes], got {labels.dtype} of shape "
            f"{list(labels.shape)}; for class indices, pass torch.nn.functional.one_hot({name}, classes).float()"
        )
    labels = labels.detach()
    _check_finite(name, labels)
    # Room for the rounding of labels that were normalised in their own type, or in float32 and then widened.
    tolerance = max(8 * torch.finfo(labels.dtype).eps, 1e-5)
    least, off = float(labels.min()), float((labels.double().sum(dim=-1) - 1).abs().max())
    if least < -tolerance or off > tolerance:
        raise ValueError(
            f"{name}: expected every row on the simplex (entries ≥ 0, sum 1), got a least entry of {least:.3g} and a "
            f"sum off by {off:.3g}; divide by the row sums, or use harness.metalabel.project_onto_simplex"
        )


def _check_finite(name: str, tensor: Tensor) -> None:
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: expected finite values, got NaN or infinity; mend or drop these inputs")
