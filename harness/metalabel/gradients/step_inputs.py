"""What every estimator of the label gradient takes and returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from harness.metalabel.lookahead import Lookahead


@dataclass(frozen=True, slots=True)
class StepInputs:
    """Inputs of one meta-step. Labels and targets are soft, floating, one row per input."""

    model: nn.Module  # in train mode, parameters without gradients
    make_lookahead: Callable[[], Lookahead]  # the optimiser's next step, once `.grad` is filled
    inputs: Tensor  # [batch, ...]
    labels: Tensor  # [batch, classes]
    meta_inputs: Tensor  # [meta_batch, ...]
    meta_targets: Tensor  # [meta_batch, classes]


class MetaStep(NamedTuple):
    """Results of one meta-step; all tensors are detached."""

    loss: Tensor  # scalar: training loss, nats
    logits: Tensor  # [batch, classes]: of the training pass
    meta_loss: Tensor  # scalar: meta loss at the lookahead, nats
    gradient: Tensor  # [batch, classes]: ∂M/∂Y
    scale: float  # B/s, which makes label_lr independent of batch size and model learning rate; 0 where s is 0


GradientEstimator = Callable[[StepInputs], MetaStep]
"""Computes the label gradient of a step.

It fills `.grad` with ∇θ L as `loss.backward()` would, then calls `make_lookahead`. It leaves the parameters at θ, and
the buffers as the training pass alone updates them.
"""
