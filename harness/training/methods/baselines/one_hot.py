"""One-hot labels: cross-entropy against the annotated class.

    L = -(1/B) Σ_i log p_{y_i}(x_i)

Under label noise its one defence is to stop early (Arpit et al. 2017, arXiv:1706.05394): tune `epochs`.
"""

from torch import Tensor
from torch.nn import functional

from harness.training.methods.method import Batch, Method


class OneHot(Method):
    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return functional.cross_entropy(logits, batch.given)
