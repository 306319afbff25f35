"""Early-learning regularisation (Liu et al. 2020, arXiv:2007.00151): predictions stay near their own running average.

    t_i ← β t_i + (1 - β) p̄(x_i),    L = (1/B) Σ_i [ -log p_{y_i}(x_i) + λ log(1 - ⟨p̄(x_i), t_i⟩) ]

with β = elr_momentum, λ = elr_weight and p̄ the probabilities clamped to [1e-4, 1 - 1e-4], as in the authors'
code; t_i starts at zero and is not differentiated. The soft label of an image is its t_i, divided by its sum.
"""

import torch
from torch import Tensor
from torch.nn import functional

from harness.training.config.methods import ElrParameters
from harness.training.methods.method import Batch, Method, Task

FLOOR = 1e-4


class EarlyLearningRegularisation(Method):
    Parameters = ElrParameters
    parameters: ElrParameters
    updates_labels = True
    static_steps = True
    state = ("targets",)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.targets = torch.zeros(len(task.given), task.classes, device=task.given.device)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        momentum = self.parameters.elr_momentum
        p = logits.softmax(1).clamp(FLOOR, 1 - FLOOR)
        fresh = p.detach() / p.detach().sum(1, keepdim=True)
        targets = momentum * self.targets[batch.index] + (1 - momentum) * fresh
        self.targets[batch.index] = targets
        regulariser = torch.log1p(-(p * targets).sum(1)).mean()
        return functional.cross_entropy(logits, batch.given) + self.parameters.elr_weight * regulariser

    def soft_labels(self) -> Tensor:
        total = self.targets.sum(1, keepdim=True)
        return super().soft_labels().where(total == 0, self.targets / total)
