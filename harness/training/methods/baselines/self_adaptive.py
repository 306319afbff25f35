"""Self-adaptive training (Huang, Zhang and Zhang 2020, arXiv:2002.10319): targets follow the model's predictions.

    t_i ← α t_i + (1 - α) p(x_i)                                        from epoch E_s on; t_i = y_i before
    L = -(1 / Σ_i w_i) Σ_i w_i Σ_c t_ic log p_c(x_i),     w_i = max_c t_ic

with α = sat_momentum and E_s = sat_start_epoch. A batch's targets are updated before its loss, from the same pass; an
image of which the model is unsure counts less. Images of the meta set keep their labels, of weight 1.
"""

from torch import Tensor

from harness.training.config.methods import SelfAdaptiveParameters
from harness.training.methods.method import Batch, Method, Task


class SelfAdaptiveTraining(Method):
    Parameters = SelfAdaptiveParameters
    parameters: SelfAdaptiveParameters
    updates_labels = True
    static_steps = True
    state = ("targets",)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.targets = super().soft_labels()
        self.first_following_step = self.parameters.sat_start_epoch * task.steps_per_epoch

    def step_kind(self, step: int) -> bool:
        return step >= self.first_following_step

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        log_p = logits.log_softmax(1)
        targets = self.targets[batch.index]
        if self.step_kind(batch.step):
            followed = targets.lerp(log_p.detach().exp(), 1 - self.parameters.sat_momentum)
            targets = targets.where(batch.trusted[:, None], followed)
            self.targets[batch.index] = targets
        weights = targets.amax(1)
        return -(weights * (targets * log_p).sum(1)).sum() / weights.sum()

    def soft_labels(self) -> Tensor:
        return self.targets
