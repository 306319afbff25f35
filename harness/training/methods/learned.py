"""Learned soft labels (Vyas, Saxena and Voice 2020, arXiv:2009.09496).

    θ ← the optimiser's step for L(θ, Y)                  every model step
    Y ← Π( Y - β · ∂M(θ'(Y))/∂Y )                         before every meta_interval-th of them, after a warm-up
    y_i ← (1 - γ) y_i + γ p̃(x_i),   p̃ ∝ p^τ               after every step, for the images of its batch

M is the loss on clean meta images at the parameters θ' that the model step is about to reach; `harness.metalabel` has
the gradient and the unit of β = label_lr. Both updates start from the same parameters and use the same batch.

Labels follow the model where γ = label_follow is above 0; τ is label_sharpen. The predictions p are those of the step's
own training pass. γ is the fraction of a label that an epoch replaces, whatever the batch size: an image is visited
once an epoch, and a class label moves by less the fewer of the class's images a batch holds (`metalabel.labels`). With
label_warmup_epochs equal to epochs there is no label step, and labels follow alone, as in self-adaptive training and,
for labels by class, in online label smoothing.

Images of the meta set, where it is trained on, keep their labels. With `retrain_share` the last epochs train a fresh
model on the labels learned by then, which no longer move.
"""

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from harness.metalabel import (
    ClassLabels,
    ExponentiatedGradient,
    InstanceLabels,
    Parametrisation,
    Simplex,
    Softmax,
    count_last_parameters,
    meta_step,
    soft_cross_entropy,
)
from harness.metalabel.gradients import REPEATING
from harness.training.config.methods import LearnedParameters
from harness.training.methods.method import Batch, Method, Phase, Task

FORMS: dict[str, Parametrisation] = {
    "simplex": Simplex(),
    "softmax": Softmax(),
    "exponentiated": ExponentiatedGradient(),
}


class LearnedLabels(Method):
    Parameters = LearnedParameters
    parameters: LearnedParameters
    updates_labels = True
    static_steps = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        config, parameters = self.config, self.parameters
        self.by_class = parameters.labels == "class"
        table = ClassLabels if self.by_class else InstanceLabels
        self.table: ClassLabels | InstanceLabels = table.from_classes(
            torch.arange(task.classes, device=task.given.device) if self.by_class else task.given,
            task.classes,
            smoothing=parameters.label_smoothing,
            parametrisation=FORMS[parameters.label_form],
            momentum=parameters.label_momentum,
            decay=parameters.label_decay,
        )
        steps_per_epoch = task.steps_per_epoch
        self.first_label_step = parameters.label_warmup_epochs * steps_per_epoch
        self.retrain_epochs = round(parameters.retrain_share * config.epochs)
        self.learned_until = (config.epochs - self.retrain_epochs) * steps_per_epoch
        self.first_following_step = parameters.label_follow_after * steps_per_epoch
        learned = task.given[~task.trusted]
        self.class_sizes = learned.bincount(minlength=task.classes)
        every_class = torch.arange(task.classes, device=task.given.device)
        self.start = task.smooth_labels(every_class, parameters.label_smoothing)  # [classes, classes]: by given class
        self.last_parameters = count_last_parameters(task.model, parameters.label_layers)
        self.norms: dict[str, Tensor] = {}  # [batch], of the epoch's first label step
        self.measured = torch.empty(0)  # bool [batch]: images of that step whose labels may move

    def phases(self) -> list[Phase]:
        config, images, last = self.config, self.task.training_index, self.retrain_epochs
        return [Phase(config.epochs - last, images, config.lr), Phase(last, images, config.lr, fresh_model=True)]

    def step_kind(self, step: int) -> Hashable | None:
        due = self._is_due(step)
        if due and (not self.norms or self.parameters.label_gradient in REPEATING):
            return None
        return due, self._follows(step)

    def step(self, batch: Batch) -> Tensor:
        if not self._is_due(batch.step):
            return super().step(batch)
        task = self.task
        batches = (batch.inputs, self._labels(batch.index, batch.given, batch.trusted), *task.meta.draw())
        options: dict[str, Any] = {"label_gradient": self.parameters.label_gradient, "last": self.last_parameters}
        step = meta_step(task.model, task.optimizer, *batches, **options)
        rows = batch.given if self.by_class else batch.index
        before = None if self.norms else self.table.rows(rows)
        label_lr = self.parameters.label_lr * (batch.lr_factor if self.parameters.label_schedule == "model" else 1)
        self.table.update(rows, step.gradient, label_lr=label_lr, scale=step.scale, moving=self._moving(batch))
        if before is not None:  # once an epoch: a norm costs a small model as much as a step
            self.norms = {
                "label_gradient_norm": (step.scale * step.gradient).norm(dim=1),
                "label_step_norm": (self.table.rows(rows) - before).norm(dim=1),
            }
            self.measured = ~batch.trusted
        self._follow(step.logits, batch)
        return step.loss

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        labels = self._labels(batch.index, batch.given, batch.trusted)
        loss = soft_cross_entropy(logits, labels)
        self._follow(logits, batch, labels)
        return loss

    def _is_due(self, step: int) -> bool:
        """Whether there is a label step at this model step."""
        due = (step - self.first_label_step) % self.parameters.meta_interval == 0
        return due and self.first_label_step <= step < self.learned_until

    def _follows(self, step: int) -> bool:
        return bool(self.parameters.label_follow) and self.first_following_step <= step < self.learned_until

    def _follow(self, logits: Tensor, batch: Batch, labels: Tensor | None = None) -> None:
        """Let the labels of a batch follow the predictions of its training pass; `labels` are theirs, where known."""
        if not self._follows(batch.step):
            return
        rate, sharpness = self.parameters.label_follow, self.parameters.label_sharpen
        options: dict[str, Any] = {"rate": rate, "sharpness": sharpness, "moving": self._moving(batch)}
        if isinstance(self.table, ClassLabels):
            self.table.follow(batch.given, logits, class_sizes=self.class_sizes, **options)
        else:
            self.table.follow(batch.index, logits, labels=labels, **options)

    def _moving(self, batch: Batch) -> Tensor | None:
        """Images whose rows may move, bool [batch]; None for all. By image, rows of the meta set are never read."""
        return ~batch.trusted if self.by_class and self.config.train_on_meta else None

    def epoch_metrics(self) -> dict[str, float]:
        norms, self.norms = self.norms, {}
        means = {name: norm[self.measured].mean() for name, norm in norms.items()}
        return {name: float(mean) for name, mean in means.items() if self.measured.any()}

    def soft_labels(self) -> Tensor:
        index = torch.arange(len(self.task.given), device=self.task.given.device)
        return self._labels(index, self.task.given, self.task.trusted)

    def class_labels(self) -> Tensor | None:
        return self.table.as_tensor() if self.by_class else None

    def state_dict(self) -> dict[str, Any]:
        return self.table.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # A run that goes on with another label_momentum may have a velocity that the saved one had not, or none.
        velocity = {"velocity": torch.zeros_like(state["table"])} if self.parameters.label_momentum else {}
        self.table.load_state_dict(
            {"table": state["table"]} | {name: state.get(name, velocity[name]) for name in velocity}
        )

    def _labels(self, index: Tensor, given: Tensor, trusted: Tensor) -> Tensor:
        """Labels [n, classes] of images of the task; those of the meta set do not move."""
        learned = self.table.rows(given if self.by_class else index)
        if not self.config.train_on_meta:
            return learned
        return self.start.index_select(0, given).where(trusted[:, None], learned)
