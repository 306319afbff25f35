"""The label gradient in forward mode: exact, and without a second-order graph.

L is linear in Y, so with v = ∇M(θ') and D the lookahead's slope, ∂θ' = -s·D·∂g,

    ∂M/∂y_ic = (s/B) · ⟨∇θ log p_c(x_i; θ), D v⟩,

one Jacobian-vector product of log p along D v. It is pushed through the training pass's own graph, so that the step
costs 8 forward passes F and no more: 3 for training, 3 for the meta set, 2 for the tangent.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.metalabel.lookahead import Lookahead
from harness.metalabel.losses import head
from harness.metalabel.methods import MetaStep, meta_pass, scale_of
from harness.metalabel.pushforward import pushforward


def forward(
    model: nn.Module,
    lookahead: Callable[[], Lookahead],
    inputs: Tensor,
    labels: Tensor,
    meta_inputs: Tensor,
    meta_targets: Tensor,
) -> MetaStep:
    """The `Method` of this file."""
    with torch.enable_grad():
        logits = model(inputs)
    loss, log_p, logit_gradient = head(logits, labels, "labels")
    logits.backward(logit_gradient, retain_graph=True)

    ahead = lookahead()
    parameters = ahead.parameters
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    with torch.no_grad():
        places = ahead.ahead(gradients)
    meta = meta_pass(model, parameters, places, meta_inputs, meta_targets)
    del places

    with torch.no_grad():
        direction = dict(zip(parameters, ahead.pull(gradients, meta.ascent), strict=True))
        tangent = pushforward(logits, direction).to(log_p.dtype)
        rows = tangent - (log_p.exp() * tangent).sum(dim=-1, keepdim=True)
        rows *= ahead.rate / len(labels)
    return MetaStep(loss, logits.detach(), meta.loss, rows, scale_of(logits, ahead))
