"""One run: a model and the labels it is trained on, side by side, an epoch at a time.

Each model step, the run's method (`harness.training.methods`) fills the model's gradients for a batch, and does to
the labels what it does; the optimiser then steps. A method lays out the epochs in phases, each over its own images
with its own course of the learning rate; most have one.

A run is a function of its `RunConfig` alone. Its state can be saved between epochs and taken up again bit for bit.
"""

import math
import time
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from harness.training.acceleration import arranged, compile_in_place, in_one_order
from harness.training.config.checks import check_computing
from harness.training.config.run_config import RunConfig
from harness.training.data import DataError, DataSplits, Images, load_splits
from harness.training.data.augment import augmented
from harness.training.data.meta_set import MetaSet
from harness.training.label_history import LabelHistory
from harness.training.methods import METHODS, Batch, Phase, Task
from harness.training.metrics import Metrics, evaluate, label_metrics, mistakes_auc
from harness.training.models import build
from harness.training.rng import GlobalStream, generator

STREAMS = ("order", "meta order", "augment")


class Diverged(ArithmeticError):
    """A loss or the labels left the finite numbers: a result with a reason, not a crash."""


class Run:
    """A run in progress.

    Args:
        config: what to run.
        parts: the data, where the caller holds them already, all of one table of pixels; else as `config` says.

    Raises:
        DataError: data or model cannot be had, or do not fit; or it cannot be computed as `config` says.
    """

    def __init__(self, config: RunConfig, parts: DataSplits | None = None) -> None:
        if problems := check_computing(config):
            raise DataError("\n".join(problems))
        in_one_order(config.deterministic)
        self.config = config
        self.device = _device(config.device)
        self.parts = (load_splits(config) if parts is None else parts).to(self.device)
        self.epoch = 0
        self.model_steps = 0
        self.streams = {purpose: generator(config.seed, purpose) for purpose in STREAMS}
        self.global_stream = GlobalStream(config.seed, "model")
        with self.global_stream.active():
            self.model = self._fresh_model()
            if config.compile:
                compile_in_place(self.model)
            self.optimizer = _optimizer(config, self.model)
            self.images, given, trusted = _trained_on(self.parts)
            meta = MetaSet(self.parts.meta, config.meta_batch_size, config.meta_balanced, self.streams["meta order"])
            task = Task(
                config, self.model, self.optimizer, self.images.classes, given, trusted, meta, self.images.index
            )
            self.method = METHODS[config.method](task)
        self.task = task
        self.phases = self.method.phases()
        self.course: LabelHistory | None = None
        if self.method.labels_move:
            followed = generator(config.seed, "label course")
            self.course = LabelHistory(self.soft_labels, self.method.class_labels(), config.epochs, followed)

    @property
    def done(self) -> bool:
        return self.epoch >= self.config.epochs

    @property
    def soft_labels(self) -> Tensor:
        """The labels now in force for the training images proper, [len(parts.train), classes]."""
        return self.method.labels()[: len(self.parts.train)]

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
        labels = self.soft_labels
        metrics |= label_metrics(labels, self.parts.noisy, self.parts.train.targets)
        if self.course is not None:
            metrics["label_moved"] = float(self.course.moved(labels).mean())
            metrics |= mistakes_auc(labels, self.parts.noisy, self.parts.train.targets)
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} is {value} after epoch {self.epoch}")
        if self.course is not None:
            self.course.note(self.epoch, labels, self.method.class_labels())
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
                "method": self.method.state_dict(),
                "course": None if self.course is None else self.course.state_dict(),
                "streams": {purpose: stream.get_state() for purpose, stream in self.streams.items()},
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
        state = _detached(state)
        self.epoch = state["epoch"]
        self.model_steps = state["model_steps"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.method.load_state_dict(state["method"])
        if self.course is not None:
            self.course.load_state_dict(state["course"])
        for purpose, stream in self.streams.items():
            stream.set_state(state["streams"][purpose].cpu())
        self.global_stream.state = state["global_stream"]

    def _pass_over_training_set(self) -> Metrics:
        config = self.config
        phase, before = self._phase()
        if phase.anew and not before:
            self._begin_anew()
        order = torch.randperm(len(phase.images), generator=self.streams["order"]).to(self.device)
        batches = phase.images[order].split(config.batch_size)
        total = torch.zeros((), device=self.device)
        lr = phase.lr
        for number, index in enumerate(batches):
            factor = self._factor(before * len(batches) + number, phase.epochs * len(batches))
            lr = phase.lr * factor
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            inputs = augmented(self.images.batch(index), config.augment, self.streams["augment"])
            given, trusted = self.task.given[index], self.task.trusted[index]
            total += self.method.step(Batch(index, inputs, given, trusted, self.model_steps, factor))
            self.optimizer.step()
            self.model_steps += 1
        self.method.end_epoch()
        return {"train_loss": float(total) / len(batches), "lr": lr, **self.method.measured()}

    def _phase(self) -> tuple[Phase, int]:
        """The phase of the epoch to come, and how many of its epochs are past."""
        before = self.epoch
        for phase in self.phases:
            if before < phase.epochs:
                return phase, before
            before -= phase.epochs
        return self.phases[-1], before + self.phases[-1].epochs

    def _factor(self, step: int, steps: int) -> float:
        """The model's learning rate at a step of a phase, as a share of that at its start."""
        return 0.5 * (1 + math.cos(math.pi * step / steps)) if self.config.schedule == "cosine" else 1.0

    def _fresh_model(self) -> torch.nn.Module:
        train = self.parts.train
        model = build(self.config.model, train.shape, train.classes, self.config.width).to(self.device)
        return arranged(model, self.config)

    def _begin_anew(self) -> None:
        """Fresh weights and an optimiser that remembers nothing, in place: the method holds both."""
        self.model.load_state_dict(self._fresh_model().state_dict())
        self.optimizer.state.clear()


def _trained_on(parts: DataSplits) -> tuple[Images, Tensor, Tensor]:
    """All images that may be trained on, training then meta, their annotated classes, and which are of the meta set."""
    train, meta = parts.train, parts.meta
    images = Images(
        train.pixels, torch.cat([train.index, meta.index]), torch.cat([train.targets, meta.targets]), train.classes
    )
    given = torch.cat([parts.noisy, meta.targets])
    trusted = torch.arange(len(given), device=given.device) >= len(train)
    return images, given, trusted


def _optimizer(config: RunConfig, model: torch.nn.Module) -> Optimizer:
    parameters, decay = model.parameters(), config.weight_decay
    if config.optimizer == "sgd":
        # Without momentum Nesterov's form is plain SGD, which torch wants to hear.
        nesterov = config.nesterov and config.momentum > 0
        return SGD(parameters, lr=config.lr, momentum=config.momentum, nesterov=nesterov, weight_decay=decay)
    kind = Adam if config.optimizer == "adam" else AdamW
    return kind(parameters, lr=config.lr, betas=(config.momentum, 0.999), weight_decay=decay)


def _device(name: str) -> torch.device:
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def _detached(value: Any) -> Any:
    """A deep copy with tensors detached: an optimiser's own `state_dict` aliases its live momentum buffers."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _detached(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_detached(item) for item in value]
    return value
