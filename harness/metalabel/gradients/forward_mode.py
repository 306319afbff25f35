"""The label gradient in forward mode: exact, without a second-order graph.

L is linear in Y. With v = ∇M(θ') and D the lookahead's slope, ∂θ' = -s·D·∂g,

    ∂M/∂y_ic = (s/B) · ⟨∇θ log p_c(x_i; θ), D v⟩,

one Jacobian-vector product of log p along D v, computed on an autograd graph of the training pass. Where v is
restricted to the last parameters, it starts at their first.

    forward             the training pass's own graph, kept during the meta pass. A step costs 8 F, with F one forward
                        pass: 3 for training, 3 for the meta set, 2 for the tangent.
    forward_recompute   a graph recorded again after the meta pass, with the same random numbers and buffers: 9 F, and
                        only one of the two batches' activations in memory at any time.
"""

import torch
from torch import Tensor

from harness.metalabel.gradients.passes import MetaStep, Passes, StepInputs, run_passes
from harness.metalabel.gradients.pushforward import pushforward
from harness.metalabel.model_state import PassReplay, frozen


def forward(step: StepInputs) -> MetaStep:
    passes = run_passes(step, keep_graph=True)
    return _meta_step(passes, passes.logits)


def forward_recompute(step: StepInputs) -> MetaStep:
    replay = PassReplay(step.modules, step.labels.device)
    passes = run_passes(step, keep_graph=False)
    with replay.start(), frozen(step.left_out), torch.enable_grad():
        logits = step.compute_logits(step.inputs)
    return _meta_step(passes, logits)


def _meta_step(passes: Passes, logits: Tensor) -> MetaStep:
    """Push D v to the logits, then through the log-softmax: ∂ log p = ∂f - ⟨p, ∂f⟩."""
    with torch.no_grad():
        moved = zip(passes.lookahead.parameters, passes.direction, strict=True)
        direction = {parameter: vector for parameter, vector in moved if vector is not None}
        tangent = pushforward(logits, direction).to(passes.log_p.dtype)
        gradient = tangent - (passes.log_p.exp() * tangent).sum(dim=-1, keepdim=True)
        gradient *= passes.lookahead.rate / len(gradient)
    return passes.meta_step(gradient)
