"""Inputs and results of the label gradient estimators, and the training and meta pass that they share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.metalabel.gradients.partial_backward import backward_keeping_last
from harness.metalabel.lookahead import Lookahead, Number, Vectors
from harness.metalabel.losses import logit_loss
from harness.metalabel.model_state import eager_mode, frozen, temporary_buffers, temporary_parameters
from harness.metalabel.torch_internals import Tensors, backward, gradients


@dataclass(frozen=True, slots=True)
class StepInputs:
    """Inputs of one meta-step. Labels and targets are soft, floating, one row per input."""

    model: nn.Module  # in train mode
    modules: Sequence[nn.Module]  # of the model, itself among them
    compute_logits: Callable[[Any], Tensor]  # inputs → [batch, classes]: the model, or a function that calls it
    optimizer: Optimizer  # its parameters have no gradients
    inputs: Any  # whatever `compute_logits` takes; as a rule a tensor [batch, ...]
    labels: Tensor  # [batch, classes]
    meta_inputs: Any  # as `inputs`
    meta_targets: Tensor  # [meta_batch, classes]
    lookahead_lr: float | None = None  # as in `Lookahead`
    max_grad_norm: float | None = None  # as in `Lookahead`
    last: frozenset[int] | None = None  # `id` of the parameters whose share of v counts; None: all
    left_out: Sequence[Tensor] = ()  # the others of model and optimiser that require a gradient

    def look_ahead(self) -> Lookahead:
        """The lookahead from the gradients that the parameters have now."""
        return Lookahead(self.optimizer, lookahead_lr=self.lookahead_lr, max_grad_norm=self.max_grad_norm)


class MetaStep(NamedTuple):
    """Results of one meta-step; all tensors are detached."""

    loss: Tensor  # scalar: training loss, nats
    logits: Tensor  # [batch, classes]: of the training pass
    meta_loss: Tensor  # scalar: meta loss at the lookahead, nats
    gradient: Tensor  # [batch, classes]: ∂M/∂Y
    scale: Number  # B/s, which makes label_lr independent of batch size and model learning rate; 0 where s is 0

    def __repr__(self) -> str:
        return (
            f"MetaStep(loss={float(self.loss):.4g}, meta_loss={float(self.meta_loss):.4g}, "
            f"gradient={list(self.gradient.shape)}, scale={float(self.scale):.4g})"
        )


GradientEstimator = Callable[[StepInputs], MetaStep]
"""Computes the label gradient of a step.

It fills `.grad` with ∇θ L as `loss.backward()` would, leaves the parameters at θ, and the buffers as the training pass
alone updates them.
"""


class Passes(NamedTuple):
    """Results of both passes, from which forward mode and finite differences derive the label gradient."""

    loss: Tensor  # scalar: training loss, nats
    logits: Tensor  # [batch, classes]: of the training pass, with its graph if that was kept
    log_p: Tensor  # [batch, classes]: log-probabilities of the training pass
    meta_loss: Tensor  # scalar: M(θ'), nats
    lookahead: Lookahead
    direction: Vectors  # D v, one tensor per parameter of the lookahead

    def meta_step(self, gradient: Tensor) -> MetaStep:
        """The step's results with this label gradient `[batch, classes]`."""
        scale = self.lookahead.gradient_scale(len(gradient))
        return MetaStep(self.loss, self.logits.detach(), self.meta_loss, gradient, scale)


def run_passes(step: StepInputs, *, keep_graph: bool) -> Passes:
    """Run the training pass, which fills `.grad`, then the meta pass at the lookahead."""
    with eager_mode(step.modules), torch.enable_grad():
        logits = step.compute_logits(step.inputs)
    loss, log_p, logit_gradient = logit_loss(logits, step.labels, "labels")
    if keep_graph and step.last is not None:
        backward_keeping_last(logits, logit_gradient, step.last)
    else:
        backward(logits, logit_gradient, keep_graph=keep_graph)
    if not keep_graph:
        logits = logits.detach()

    lookahead = step.look_ahead()
    fresh = [parameter.grad for parameter in lookahead.parameters if parameter.grad is not None]
    with torch.no_grad():
        meta_loss, meta_gradient = run_meta_pass(step, lookahead.parameters, lookahead.parameters_after(fresh))
        direction = lookahead.pullback(fresh, meta_gradient)
    return Passes(loss, logits, log_p, meta_loss, lookahead, direction)


def run_meta_pass(step: StepInputs, parameters: Tensors, values: Tensors) -> tuple[Tensor, Vectors]:
    """M and v = ∇M, one tensor per parameter, with `parameters` at `values`; None for those that are left out of v.

    BatchNorm normalises by the meta batch's statistics; the running ones do not change.
    """
    last = step.last
    wanted = parameters if last is None else [parameter for parameter in parameters if id(parameter) in last]
    if not wanted:
        raise ValueError(
            "last: expected parameters of the optimiser among the last of the model, got none that the logits depend "
            "on; take a larger number"
        )
    places = temporary_parameters(parameters, values)
    with places, temporary_buffers(step.modules), frozen(step.left_out), torch.enable_grad():
        logits = step.compute_logits(step.meta_inputs)
        loss, _, logit_gradient = logit_loss(logits, step.meta_targets, "meta_targets")
        vectors = gradients(logits, logit_gradient, wanted)
    if last is None:
        return loss, vectors
    rest = iter(vectors)
    return loss, [next(rest) if id(parameter) in last else None for parameter in parameters]
