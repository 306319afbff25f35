"""Sparse over-parameterisation (Liu, Zhu, Qu and You 2022, arXiv:2202.14026): a model of each label's noise.

    s_i = u_i² ∘ y_i - v_i² ∘ (1 - y_i)                    noise of the given label y_i, estimated; 1 - y_i by class
    L_CE  = -(1/B) Σ_i log q_i,y(i),     q_i = φ(p(x_i) + s_i)
    L_MSE = (1/B) Σ_i ‖ h_i + s_i - y_i ‖²,     h_i = one-hot of the model's largest logit
    u_i ← Π( u_i - α_u ∂(L_CE + L_MSE)/∂u_i ),     v_i ← Π( v_i - α_v ∂L_MSE/∂v_i )

φ clamps to at least 1e-4, divides by the sum and clamps again; Π clamps to [-1, 1]; α_u = sop_u_lr, α_v = sop_v_lr. The
model learns from L_CE alone, which is the training loss. A step moves the entries of its batch's images, by plain
gradient descent at a constant rate. Both losses are means over the batch, so that half the batch size doubles a step:
a v of 1 whose class the model no longer predicts becomes 1 - 4 α_v/B, which overshoots above α_v = B/4.

That is what the authors' code does (github.com/shengliu66/SOP, loss.py), without the two terms of their SOP+. It
departs from algorithm 1 of the paper in one thing, as they say: there u learns from L_CE alone. Π is the paper's
constraint; the code leaves entries outside as they are, where their squares are clamped to 1 and have no gradient.

Only the entry of u at the given class counts, and those of v at the others, so that one table w has both. It starts
near 0, and grows by a factor a step: an entry of 0 stays. So the images of the meta set, at 0, keep their labels.

The soft label of an image is y_i - s_i, as the model learns to predict: 1 - u² at the given class, v² at the others.
What is missing from a sum of 1 is spread evenly, since nothing tells where it belongs; a sum above 1 is divided out.
"""

import torch
from torch import Tensor

from harness.training.config.methods import SopParameters
from harness.training.methods.method import Batch, Method, Task
from harness.training.rng import generator

FLOOR = 1e-4


class SparseOverParameterisation(Method):
    Parameters = SopParameters
    parameters: SopParameters
    updates_labels = True
    static_steps = True
    state = ("w",)

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        device = task.given.device
        drawn = torch.randn(len(task.given), task.classes, generator=generator(self.config.seed, "sop")).to(device)
        self.w = (self.parameters.sop_init_std * drawn).where(~task.trusted[:, None], 0)
        self.class_index = torch.arange(task.classes, device=device)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        given = batch.given[:, None] == self.class_index
        w = self.w[batch.index]
        noise = _noise(w, given)
        shifted = logits.softmax(1) + noise
        floored = shifted.clamp(min=FLOOR)
        q = floored / floored.sum(1, keepdim=True)
        with torch.no_grad():
            # -log q_y = log Σ_c a_c - log a_y with a the clamped sum, so its slope at s_y is 1/Σ_c a_c - 1/a_y
            learns = given & (shifted >= FLOOR) & (q >= FLOOR)
            slope = ((q - 1) / floored).where(learns, 0)
            predicted = logits.argmax(1, keepdim=True) == self.class_index
            slope += 2 * (predicted.float() + noise - given.float())
            rates = torch.where(given, self.parameters.sop_u_lr, -self.parameters.sop_v_lr)  # ∂s/∂w = ±2w
            self.w[batch.index] = (w - rates * 2 * w * slope / len(w)).clamp(-1, 1)
        return -q.gather(1, batch.given[:, None]).clamp(min=FLOOR).log().mean()

    def soft_labels(self) -> Tensor:
        given = self.task.given[:, None] == self.class_index
        labels = given.float() - _noise(self.w, given)
        total = labels.sum(1, keepdim=True)
        return (labels + (1 - total).clamp(min=0) / self.task.classes) / total.clamp(min=1)


def _noise(w: Tensor, given: Tensor) -> Tensor:
    """The estimated noise s [images, classes] of labels, given u and v in one table and the given class as bool."""
    return w.square() * torch.where(given, 1.0, -1.0)
