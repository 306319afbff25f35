"""What the label gradient's arguments must be, and what to pass instead where they are not."""

import torch
from torch import Tensor, nn


def check_model(model: nn.Module) -> None:
    """ValueError unless the model is in train mode and has something to learn."""
    if not model.training:
        raise ValueError(
            "model: expected train mode, since the lookahead is a training step, got eval mode; call model.train() first"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model: expected at least one parameter that requires grad, got none; unfreeze some")


def check_batch(inputs_name: str, inputs: Tensor, name: str, labels: Tensor) -> None:
    """ValueError unless `labels` is a floating `[batch, classes]` tensor, one row per input."""
    if not labels.is_floating_point():
        raise ValueError(
            f"{name}: expected soft labels [batch, classes] of a floating type, got {labels.dtype} of shape "
            f"{list(labels.shape)}; turn class indices into torch.nn.functional.one_hot({name}, classes).float()"
        )
    if labels.dim() != 2:
        raise ValueError(
            f"{name}: expected soft labels [batch, classes], got shape {list(labels.shape)}; pass one row per input"
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
    for what, tensor in ((inputs_name, inputs), (name, labels)):
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(
                f"{what}: expected finite values, got NaN or infinity; look at what made this batch"
            )
    # Eight roundings of the coarsest step, so that float32 and bfloat16 labels that were normalised in their own type pass.
    tolerance = 8 * torch.finfo(labels.dtype).eps
    least, off = float(labels.min()), float((labels.double().sum(dim=-1) - 1).abs().max())
    if least < -tolerance or off > max(tolerance, 1e-6):
        raise ValueError(
            f"{name}: expected every row on the simplex (entries ≥ 0, sum 1), got a least entry of {least:.3g} and a sum "
            f"off by {off:.3g}; divide by the row sums, apply a softmax, or use harness.metalabel.project_onto_simplex"
        )
