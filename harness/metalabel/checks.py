"""Argument checks of the label gradient. Each raises ValueError that says what to pass instead."""

import torch
from torch import Tensor, nn


def check_step(model: nn.Module, labels: Tensor, meta_targets: Tensor) -> None:
    """Require a model in train mode, and floating label rows."""
    if not model.training:
        raise ValueError(
            "model: expected train mode, as the lookahead is a training step, got eval mode; call model.train()"
        )
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise ValueError(
            "model: expected a model of one process, got DistributedDataParallel, whose averaged gradients the "
            "lookahead does not know; train in one process, with the model itself"
        )
    for name, rows in (("labels", labels), ("meta_targets", meta_targets)):
        check_soft(name, rows)
        if len(rows) == 0:
            raise ValueError(f"{name}: expected at least one row, got an empty batch; drop this batch")


def check_inputs(name: str, inputs: object, labels_name: str, labels: Tensor) -> None:
    """Require a tensor with one input for each row of `labels`."""
    if not isinstance(inputs, Tensor):
        raise ValueError(
            f"{name}: expected a tensor, got {type(inputs).__name__}; pass torch.as_tensor of it, or to meta_step a "
            "compute_logits that takes it, such as lambda inputs: model(**inputs).logits"
        )
    if inputs.dim() == 0 or len(inputs) != len(labels):
        raise ValueError(
            f"{name}, {labels_name}: expected one label row per input, got shapes {list(inputs.shape)} and "
            f"{list(labels.shape)}; take both from the same batch"
        )


def check_positive(name: str, value: object) -> None:
    """Require a positive finite number."""
    if not isinstance(value, int | float | Tensor) or not 0 < float(value) < float("inf"):
        raise ValueError(f"{name}: expected a positive finite number, got {value!r}; pass one like 0.1")


def check_soft(name: str, labels: object) -> None:
    """Require floating label rows `[batch, classes]`."""
    if not isinstance(labels, Tensor):
        raise ValueError(f"{name}: expected a tensor, got {type(labels).__name__}; pass torch.as_tensor of it")
    if labels.dim() != 2 or not labels.is_floating_point():
        raise ValueError(
            f"{name}: expected floating soft labels [batch, classes], got {labels.dtype} of shape "
            f"{list(labels.shape)}; for class indices, pass torch.nn.functional.one_hot({name}, classes).float()"
        )


def check_classes(classes: object, num_classes: int) -> None:
    """Require class indices `[rows]`, int64, from 0 below `num_classes`, at least one."""
    if not isinstance(classes, Tensor) or classes.dtype is not torch.int64 or classes.dim() != 1 or not len(classes):
        got = (
            f"{classes.dtype} of shape {list(classes.shape)}" if isinstance(classes, Tensor) else type(classes).__name__
        )
        raise ValueError(f"classes: expected int64 class indices [rows], got {got}; pass torch.as_tensor(…).long()")
    least, largest = (int(end) for end in torch.aminmax(classes))
    if least < 0 or largest >= num_classes:
        raise ValueError(
            f"classes: expected class indices from 0 to {num_classes - 1}, got {least} to {largest}; pass "
            "num_classes as the number of classes of the data set"
        )


def check_on_simplex(name: str, labels: Tensor) -> None:
    """Require rows `[rows, classes]` that are finite, non-negative and sum to one."""
    check_soft(name, labels)
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
