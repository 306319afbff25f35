"""Label smoothing (Szegedy et al. 2016, arXiv:1512.00567): a share of each label's mass is spread over all classes.

y_i = (1 - ε) · one_hot_i + ε/C,    L = -(1/B) Σ_i ⟨y_i, log p(x_i)⟩,    ε = label_smoothing
"""

from torch import Tensor

from harness.metalabel import soft_cross_entropy
from harness.training.config.methods import LabelSmoothingParameters
from harness.training.methods.method import Batch, Method


class LabelSmoothing(Method):
    Parameters = LabelSmoothingParameters
    parameters: LabelSmoothingParameters
    static_steps = True

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return soft_cross_entropy(logits, self.task.smooth_labels(batch.given, self.parameters.label_smoothing))

    def soft_labels(self) -> Tensor:
        return self.task.smooth_labels(self.task.given, self.parameters.label_smoothing)
