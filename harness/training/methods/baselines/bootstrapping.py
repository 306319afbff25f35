"""Soft bootstrapping (Reed et al. 2014, arXiv:1412.6596): targets mix the label with the model's own prediction.

    L = -(1/B) Σ_i Σ_c [ β y_ic + (1 - β) p_ic ] log p_ic,    β = bootstrap_weight

p stands in the target too and is differentiated there, which makes the second term the entropy of p: softmax
regression with minimum-entropy regularisation, as the paper says. Images of the meta set keep their
labels.
"""

from torch import Tensor
from torch.nn import functional

from harness.training.config.methods import BootstrappingParameters
from harness.training.methods.method import Batch, Method, Task


class Bootstrapping(Method):
    Parameters = BootstrappingParameters
    parameters: BootstrappingParameters
    updates_labels = True
    static_steps = True
    state = ("targets",)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.targets = super().soft_labels()  # those an image was last trained with

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        log_p = functional.log_softmax(logits, dim=1)
        given = functional.one_hot(batch.given, self.task.classes).float()
        weight = self.parameters.bootstrap_weight
        targets = given.where(batch.trusted[:, None], weight * given + (1 - weight) * log_p.exp())
        self.targets[batch.index] = targets.detach()
        return -(targets * log_p).sum(1).mean()

    def soft_labels(self) -> Tensor:
        return self.targets
