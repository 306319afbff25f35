"""Meta-Weight-Net (Shu et al. 2019, arXiv:1902.07379): a small network learns the weight of an image from its loss.

    v_i = V(ℓ_i; Θ),  ℓ_i = -log p_{y_i}(x_i; θ)          V: one hidden layer, sigmoid output; ℓ_i is not differentiated
    w_i = B v_i / Σ_j v_j
    θ'(Θ) = the optimiser's step from θ for (1/B) Σ_i w_i ℓ_i
    Θ ← Θ - Adam(∂M(θ'(Θ))/∂Θ)                            every meta_interval model steps
    θ ← the optimiser's step for (1/B) Σ_i w_i ℓ_i        with the new Θ

Dividing by the batch's sum is of Ren et al. 2018 (arXiv:1803.09050), whom the paper builds on: without it all weights
soon run to 1, as a larger step of the model lowers the meta loss whatever the images are.

A weighted one-hot label w_i y_i is a label of mass w_i, so the core that differentiates labels gives the weights'
gradient: ∂M/∂w_i = ⟨y_i, ∂M/∂(w_i y_i)⟩. As for labels, the factor s/B is taken out of it. The authors look ahead by
plain SGD, here it is by the run's own optimiser. Images of the meta set, where it is trained on, have v_i = 1.
"""

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.metalabel import meta_step
from harness.metalabel.gradients import REPEATING
from harness.metalabel.torch_internals import optimizer_step
from harness.training.acceleration import capturable_options, is_capturable
from harness.training.config.methods import ReweightingParameters
from harness.training.methods.method import Batch, Method, Task


class Reweighting(Method):
    Parameters = ReweightingParameters
    parameters: ReweightingParameters
    static_steps = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        width = self.parameters.weight_net_width
        layers = nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 1), nn.Sigmoid()
        self.net = nn.Sequential(*layers).to(task.given.device)
        options = capturable_options("adam", is_capturable(task.optimizer))
        self.net_optimizer = torch.optim.Adam(self.net.parameters(), lr=self.parameters.weight_net_lr, **options)

    def step_kind(self, step: int) -> Hashable | None:
        due = self._is_due(step)
        return None if due and self.parameters.label_gradient in REPEATING else due

    def step(self, batch: Batch) -> Tensor:
        if self._is_due(batch.step):
            self._update_weight_net(batch)
        return super().step(batch)

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        losses = functional.cross_entropy(logits, batch.given, reduction="none")
        return (self._weights(losses, batch).detach() * losses).mean()

    def _is_due(self, step: int) -> bool:
        return step % self.parameters.meta_interval == 0

    def _weights(self, losses: Tensor, batch: Batch) -> Tensor:
        """Weights [batch] of the images, given their losses [batch] in nats."""
        values: Tensor = self.net(losses.detach()[:, None])[:, 0]
        values = values.where(~batch.trusted, 1.0)
        return values / values.mean()

    def _update_weight_net(self, batch: Batch) -> None:
        task = self.task
        # Two passes more than a plain step: they may not update BatchNorm's running statistics as well.
        before = [buffer.clone() for buffer in task.model.buffers()]
        with torch.no_grad():
            losses = functional.cross_entropy(task.model(batch.inputs), batch.given, reduction="none")
        weights = self._weights(losses, batch)
        given = functional.one_hot(batch.given, task.classes).float()
        batches = (batch.inputs, given * weights.detach()[:, None], *task.meta.draw())
        step = meta_step(task.model, task.optimizer, *batches, label_gradient=self.parameters.label_gradient)
        for buffer, value in zip(task.model.buffers(), before, strict=True):
            buffer.copy_(value)
        self.net_optimizer.zero_grad()
        ((given * step.gradient).sum(1) * step.scale * weights).mean().backward()
        optimizer_step(self.net_optimizer)

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "net_optimizer": self.net_optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.net_optimizer.load_state_dict(state["net_optimizer"])
