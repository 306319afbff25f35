"""Generalised cross-entropy (Zhang and Sabuncu 2018, arXiv:1805.07836): a loss that is robust to wrong labels.

    L_q = (1/B) Σ_i ( 1 - p_{y_i}^q ) / q,    q = gce_q in (0, 1]

q → 0 is cross-entropy, q = 1 the mean absolute error; an image's gradient is that of cross-entropy times p_{y_i}^q.
"""

from torch import Tensor
from torch.nn import functional

from harness.training.config.methods import GceParameters
from harness.training.methods.method import Batch, Method


class GeneralisedCrossEntropy(Method):
    Parameters = GceParameters
    parameters: GceParameters
    static_steps = True

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        q = self.parameters.gce_q
        log_p = -functional.cross_entropy(logits, batch.given, reduction="none")
        return (-(q * log_p).expm1() / q).mean()  # expm1: 1 - p^q loses all digits where p is near 1 or q near 0
