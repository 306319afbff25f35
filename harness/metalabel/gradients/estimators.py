"""What a method of computing the label gradient takes and gives, and the passes that all of them share."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from harness.metalabel.gradients.backward import gradients_of
from harness.metalabel.lookahead import Lookahead, Tensors
from harness.metalabel.losses import head
from harness.metalabel.model_state import lent_buffers, weights_at


class MetaStep(NamedTuple):
    """The training pass's results, the meta loss, and the label gradient; all detached."""

    loss: Tensor  # scalar: the training loss, nats
    logits: Tensor  # [batch, classes]: of the training pass
    meta_loss: Tensor  # scalar: the meta loss at the lookahead, nats
    gradient: Tensor  # [batch, classes]: ∂M/∂Y
    scale: float  # B/s, which makes the label learning rate free of batch size and model rate; 0 where s is 0


class Method(Protocol):
    """One way to the label gradient; all give the same numbers, at different prices.

    The parameters come without gradients. A method fills `.grad` with ∇θ L as `loss.backward()` would, then asks
    `lookahead` for the step that these gradients lead to. It leaves the model at θ, and its buffers as the training
    pass alone moves them.
    """

    def __call__(
        self,
        model: nn.Module,
        lookahead: Callable[[], Lookahead],
        inputs: Tensor,
        labels: Tensor,
        meta_inputs: Tensor,
        meta_targets: Tensor,
    ) -> MetaStep: ...


class MetaPass(NamedTuple):
    """The meta set's answer at the lookahead."""

    loss: Tensor  # scalar, M(θ')
    ascent: list[Tensor]  # v = ∇M(θ'), one tensor per moved parameter


def meta_pass(model: nn.Module, parameters: Tensors, places: Tensors, inputs: Tensor, targets: Tensor) -> MetaPass:
    """M and ∇M with `parameters` at `places`; batch statistics are seen, running ones are not moved."""
    with weights_at(parameters, places), lent_buffers(model), torch.enable_grad():
        logits = model(inputs)
        loss, _, logit_gradient = head(logits, targets, "meta_targets")
        ascent = gradients_of(logits, logit_gradient, parameters)
    return MetaPass(loss, ascent)


def scale_of(logits: Tensor, lookahead: Lookahead) -> float:
    """B/s, or 0 for a lookahead that does not move and so says nothing about the labels."""
    return len(logits) / lookahead.rate if lookahead.rate else 0.0
