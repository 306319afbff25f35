"""One run: model and labels trained side by side, an epoch at a time.

Every model step descends the soft-label cross-entropy L(θ, Y). In a run that learns its labels, every
`meta_interval`-th of them first looks ahead: the labels Y take a step down ∂M/∂Y, M being the loss on clean meta images
at the parameters the model step is about to reach (arXiv:2009.09496; the gradient itself is `harness.metalabel`'s). The
two updates see the same parameters and the same batch.

A run is a function of its `RunConfig` alone. Its state can be saved between epochs and taken up again bit for bit.
"""

import math
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.metalabel import ClassLabels, InstanceLabels, meta_step, soft_cross_entropy
from harness.training.config import RunConfig
from harness.training.data import Images, Parts, load_parts
from harness.training.metrics import Metrics, evaluate, label_metrics
from harness.training.models import build
from harness.training.random import GlobalStream, generator


class Diverged(ArithmeticError):
    """A loss or the labels left the finite numbers: a result with a reason, not a crash."""


class Run:
    """A run in progress.

    Args:
        config: what to run.
        parts: the data, where the caller holds it already; else loaded and cut as `config` says.
    """

    def __init__(self, config: RunConfig, parts: Parts | None = None) -> None:
        self.config = config
        self.device = _device(config.device)
        parts = _moved(load_parts(config) if parts is None else parts, self.device)
        self.parts = parts
        self.inputs, self.given = parts.train.inputs, parts.noisy
        if config.train_on_meta:
            self.inputs = torch.cat([self.inputs, parts.meta.inputs])
            self.given = torch.cat([self.given, parts.meta.targets])
        self.meta_targets = functional.one_hot(parts.meta.targets, parts.meta.classes).float()
        self.labels, self.label_row = self._initial_labels()

        self.epoch = 0
        self.model_steps = 0
        self.order = generator(config.seed, "order")
        self.meta_order = generator(config.seed, "meta order")
        self.global_stream = GlobalStream(config.seed, "model")
        with self.global_stream.active():
            model = build(config.model, self.inputs.shape[1:], parts.train.classes, config.width)
        self.model = model.to(self.device)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )

    @property
    def done(self) -> bool:
        return self.epoch >= self.config.epochs

    @property
    def soft_labels(self) -> Tensor:
        """The labels now in force for the training images proper, [len(parts.train), classes]."""
        return self.labels.rows(self.label_row[: len(self.parts.train)])

    def train_epoch(self) -> Metrics:
        """One pass over the training images; returns the metrics named in `harness.training.metrics`.

        Raises:
            Diverged: a metric is no longer finite.
        """
        started = time.perf_counter()
        with self.global_stream.active():
            metrics = self._pass_over_training_set()
        self.epoch += 1
        metrics |= evaluate(self.model, self.parts.meta, "meta")
        metrics |= evaluate(self.model, self.parts.val, "val")
        metrics |= label_metrics(self.soft_labels, self.parts.noisy, self.parts.train.targets)
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} is {value} after epoch {self.epoch}")
        metrics["seconds"] = time.perf_counter() - started
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """All that later epochs read, in tensors and plain values that alias nothing live."""
        state: dict[str, Any] = _detached(
            {
                "config": self.config.model_dump(),
                "epoch": self.epoch,
                "model_steps": self.model_steps,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "labels": self.labels.state_dict(),
                "order": self.order.get_state(),
                "meta_order": self.meta_order.get_state(),
                "global_stream": self.global_stream.state,
            }
        )
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises:
            ValueError: the state is another configuration's.
        """
        if state["config"] != self.config.model_dump():
            raise ValueError(f"expected the state of {self.config!r}, got that of {state['config']}")
        self.epoch = state["epoch"]
        self.model_steps = state["model_steps"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(_detached(state["optimizer"]))
        self.labels.load_state_dict(state["labels"])
        self.order.set_state(state["order"].cpu())
        self.meta_order.set_state(state["meta_order"].cpu())
        self.global_stream.state = state["global_stream"]

    def _pass_over_training_set(self) -> Metrics:
        config = self.config
        learned = config.method == "learned"
        batches = torch.randperm(len(self.inputs), generator=self.order).to(self.device).split(config.batch_size)
        total = torch.zeros((), device=self.device)
        for index in batches:
            lr = self._schedule(len(batches))
            rows = self.label_row[index]
            if learned and self.model_steps % config.meta_interval == 0:
                loss = self._label_step(index, rows)
            else:
                self.optimizer.zero_grad()
                loss = soft_cross_entropy(self.model(self.inputs[index]), self.labels.rows(rows))
                loss.backward()
            self.optimizer.step()
            self.model_steps += 1
            total += loss.detach()
        return {"train_loss": float(total) / len(batches), "lr": lr}

    def _label_step(self, index: Tensor, rows: Tensor) -> Tensor:
        """Move the labels of one batch; leaves the model's gradients for the step that follows."""
        meta_index = self._meta_batch()
        step = meta_step(
            self.model,
            self.optimizer,
            self.inputs[index],
            self.labels.rows(rows),
            self.parts.meta.inputs[meta_index],
            self.meta_targets[meta_index],
        )
        gradient = step.gradient
        if self.config.train_on_meta:  # the meta images' own labels are trusted as they are
            noisy = index < len(self.parts.train)
            rows, gradient = rows[noisy], gradient[noisy]
        self.labels.update(rows, gradient, label_lr=self.config.label_lr, scale=step.scale)
        return step.loss

    def _meta_batch(self) -> Tensor | slice:
        if self.config.meta_batch_size >= len(self.parts.meta):
            return slice(None)
        order = torch.randperm(len(self.parts.meta), generator=self.meta_order)
        return order[: self.config.meta_batch_size].to(self.device)

    def _schedule(self, steps_per_epoch: int) -> float:
        lr = self.config.lr
        if self.config.schedule == "cosine":
            lr *= 0.5 * (1 + math.cos(math.pi * self.model_steps / (self.config.epochs * steps_per_epoch)))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _initial_labels(self) -> tuple[InstanceLabels | ClassLabels, Tensor]:
        """The labels, and for each training image the row of them that is its own."""
        classes = self.parts.train.classes
        if self.config.method == "learned" and self.config.labels == "class":
            return ClassLabels.from_smoothing(classes, self.config.label_smoothing, device=self.device), self.given
        smoothing = 0.0 if self.config.method == "one_hot" else self.config.label_smoothing
        labels = InstanceLabels.from_classes(self.given, classes, smoothing=smoothing)
        return labels, torch.arange(len(self.given), device=self.device)


def _device(name: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def _moved(parts: Parts, device: torch.device) -> Parts:
    def images(part: Images) -> Images:
        return Images(part.inputs.to(device), part.targets.to(device), part.classes)

    return Parts(images(parts.train), parts.noisy.to(device), images(parts.meta), images(parts.val))


def _detached(value: Any) -> Any:
    """A deep copy with tensors detached: an optimiser's own `state_dict` aliases its live momentum buffers."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _detached(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_detached(item) for item in value]
    return value
