"""Distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531): a student learns from a teacher's logits.

    L = (1/B) Σ_i [ w T² KL( softmax(v_i / T) ‖ softmax(z_i / T) ) - (1 - w) log p_{y_i}(x_i) ]

with v_i the teacher's logits, z_i the student's, T = distill_temperature and w = distill_weight. The gradient
of the KL term shrinks as 1/T², hence the factor. The soft label of an image is w softmax(v_i) + (1 - w) y_i.
"""

from torch import Tensor
from torch.nn import functional

from harness.training.config.methods import DistillationParameters
from harness.training.methods.method import Batch, Method, Task
from harness.training.teacher_logits import load_teacher_logits


class Distillation(Method):
    Parameters = DistillationParameters
    parameters: DistillationParameters
    static_steps = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.logits = load_teacher_logits(self.config, self.parameters.teacher, task.pool_index, task.classes)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        weight, temperature = self.parameters.distill_weight, self.parameters.distill_temperature
        teacher = (self.logits[batch.index] / temperature).log_softmax(1)
        student = (logits / temperature).log_softmax(1)
        divergence = functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return weight * temperature**2 * divergence + (1 - weight) * functional.cross_entropy(logits, batch.given)

    def soft_labels(self) -> Tensor:
        weight = self.parameters.distill_weight
        return weight * self.logits.softmax(1) + (1 - weight) * super().soft_labels()
