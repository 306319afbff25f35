"""Online label smoothing (Zhang et al. 2020, arXiv:2011.12562): a class's soft label is the mean prediction for it.

    L = (1/B) Σ_i [ -a log p_{y_i}(x_i) - (1 - a) ⟨S_{y_i}, log p(x_i)⟩ ],    a = ols_weight

S_c is the mean of p(x_i) over the images of class c that the model got right in the epoch before; uniform at first. A
class of which none was right keeps its row.
"""

import torch
from torch import Tensor
from torch.nn import functional

from harness.metalabel import soft_cross_entropy
from harness.training.config.methods import OnlineLabelSmoothingParameters
from harness.training.methods.method import Batch, Method, Task


class OnlineLabelSmoothing(Method):
    Parameters = OnlineLabelSmoothingParameters
    parameters: OnlineLabelSmoothingParameters
    updates_labels = True
    static_steps = True
    state = ("soft", "sums", "counts")

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        square = (task.classes, task.classes)
        self.soft = torch.full(square, 1 / task.classes, device=task.given.device)
        self.sums = torch.zeros(square, device=task.given.device)
        self.counts = torch.zeros(task.classes, device=task.given.device)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        p = logits.detach().softmax(1)
        right = p.argmax(1) == batch.given
        self.sums.index_add_(0, batch.given, p.where(right[:, None], 0.0))
        self.counts.index_add_(0, batch.given, right.to(p.dtype))
        return soft_cross_entropy(logits, self._mixed_labels(batch.given))

    def end_epoch(self) -> None:
        counts = self.counts[:, None]
        self.soft.copy_((self.sums / counts).where(counts > 0, self.soft))
        self.sums.zero_()
        self.counts.zero_()

    def soft_labels(self) -> Tensor:
        return self._mixed_labels(self.task.given)

    def class_labels(self) -> Tensor:
        return self._mixed_labels(torch.arange(self.task.classes, device=self.task.given.device))

    def _mixed_labels(self, given: Tensor) -> Tensor:
        weight = self.parameters.ols_weight
        return weight * functional.one_hot(given, self.task.classes) + (1 - weight) * self.soft[given]
