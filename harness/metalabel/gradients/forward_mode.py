"""The label gradient in forward mode: exact, and without a second-order graph.

L is linear in Y, so with v = ∇M(θ') and D the lookahead's slope, ∂θ' = -s·D·∂g,

    ∂M/∂y_ic = (s/B) · ⟨∇θ log p_c(x_i; θ), D v⟩,

one Jacobian-vector product of log p along D v, pushed through an autograd graph of the training pass. There are two
choices of that graph:

    forward             the training pass's own, kept through the meta pass. The step costs 8 forward passes F and no
                        more: 3 for training, 3 for the meta set, 2 for the tangent.
    forward_recompute   recorded again after the meta pass, with the same random numbers and buffers: 9F, and the
                        activations of only one of the two batches are held at any time.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.metalabel.gradients.backward import fill_gradients
from harness.metalabel.gradients.estimators import MetaStep, meta_pass, scale_of
from harness.metalabel.gradients.pushforward import pushforward
from harness.metalabel.lookahead import Lookahead
from harness.metalabel.losses import head
from harness.metalabel.model_state import RandomState, copied_buffers, lent_buffers, uncompiled


def forward(
    model: nn.Module,
    lookahead: Callable[[], Lookahead],
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
) -> MetaStep:
    """The `Method` that keeps the training pass's graph."""
    return _forward(model, lookahead, inputs, labels, meta_inputs, meta_targets, at_start=None)


def forward_recompute(
    model: nn.Module,
    lookahead: Callable[[], Lookahead],
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
) -> MetaStep:
    """The `Method` that records the graph again."""
    at_start = RandomState(inputs.device)
    return _forward(model, lookahead, inputs, labels, meta_inputs, meta_targets, at_start)


def _forward(
    model: nn.Module,
    lookahead: Callable[[], Lookahead],
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
    at_start: RandomState | None,
) -> MetaStep:
    before = None if at_start is None else copied_buffers(model)
    with uncompiled(model), torch.enable_grad():
        logits = model(inputs)
    loss, log_p, logit_gradient = head(logits, labels, "labels")
    fill_gradients(logits, logit_gradient, keep_graph=at_start is None)
    values = logits.detach()
    if at_start is not None:
        del logits

    ahead = lookahead()
    parameters = ahead.parameters
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    with torch.no_grad():
        places = ahead.ahead(gradients)
    meta = meta_pass(model, parameters, places, meta_inputs, meta_targets)
    del places

    if at_start is not None:
        with at_start.replayed(), lent_buffers(model, before), uncompiled(model), torch.enable_grad():
            logits = model(inputs)
    with torch.no_grad():
        direction = dict(zip(parameters, ahead.pull(gradients, meta.ascent), strict=True))
        tangent = pushforward(logits, direction).to(log_p.dtype)
        rows = tangent - (log_p.exp() * tangent).sum(dim=-1, keepdim=True)
        rows *= ahead.rate / len(labels)
    return MetaStep(loss, values, meta.loss, rows, scale_of(values, ahead))
