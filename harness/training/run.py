"""Training loop: a model, and the labels that it is trained on, an epoch at a time.

At each model step the run's method (`harness.training.methods`) fills the model's gradients for a batch and may update
labels; then the optimiser steps. A method divides the epochs into phases, each over its own images with its own
schedule of the learning rate; most have one.

A run is a function of its `RunConfig` alone. Its state can be saved between epochs and restored bit for bit.
"""

import copy
import math
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from harness.metalabel.torch_internals import optimizer_step, optimizers_without_dynamo
from harness.training.acceleration import (
    apply_precision,
    capturable_options,
    compile_in_place,
    set_deterministic,
)
from harness.training.batches import check_batch_norm, split_into_batches
from harness.training.config.checks import check_config, check_settings
from harness.training.config.method_lookup import method_class
from harness.training.config.methods import MetaStepParameters
from harness.training.config.run_config import RunConfig
from harness.training.data.augment import augmented_batch, draw_augmentation
from harness.training.data.images import DataSplits, copy_to
from harness.training.data.meta_set import MetaSet
from harness.training.data.splits import load_splits
from harness.training.errors import DataError, DivergenceError
from harness.training.graphs import GraphedSteps, find_capture, find_obstacle
from harness.training.label_history import LabelHistory
from harness.training.methods import Batch, Method, Phase, Task
from harness.training.metrics import Metrics, evaluate, label_metrics, mistakes_auc
from harness.training.models import build_model
from harness.training.rng import GlobalStream, generator

STREAMS = ("order", "meta order", "augment")


class Run:
    """A run in progress; `splits`, all of one table of pixels, take the place of the data that `config` names.

    DataError if data or model cannot be loaded or do not fit, or if settings exclude each other.
    """

    def __init__(self, config: RunConfig, splits: DataSplits | None = None) -> None:
        if problems := check_config(config) if splits is None else check_settings(config):
            raise DataError("\n".join(problems))
        set_deterministic(config.deterministic)
        self.config = config
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(automatic if config.device == "auto" else config.device)
        self.splits = (load_splits(config) if splits is None else splits).to(self.device)
        self.epoch = 0
        self.model_steps = 0
        self.streams = {purpose: generator(config.seed, purpose) for purpose in STREAMS}
        self.global_stream = GlobalStream(config.seed, "model")
        with self.global_stream.active():
            self.model = self._fresh_model()
            check_batch_norm(config, self.model, len(self.splits.meta))
            if config.compile:
                compile_in_place(self.model)
            capture = find_capture(self.device)
            # Tensors of capturable steps: their values change, their memory stays.
            self.lr = None if capture is None else torch.tensor(config.lr, device=self.device)
            self.lr_factor: float | Tensor = 1.0 if self.lr is None else torch.ones_like(self.lr)
            self.optimizer = _optimizer(config, self.model, self.lr)
            self.images = self.splits.images
            given = torch.cat([self.splits.noisy, self.splits.meta.targets])
            self.task = Task(
                config=config,
                model=self.model,
                optimizer=self.optimizer,
                classes=self.images.classes,
                given=given,
                trusted=torch.arange(len(given), device=self.device) >= len(self.splits.train),
                meta=MetaSet(self.splits.meta, _meta_step_parameters(config), self.streams["meta order"]),
                pool_index=self.images.index,
                inputs=self.images.batch,
            )
            self.method = self._build_method()
        obstacle = find_obstacle(config, capture, self.method)
        if obstacle and config.graph == "on":
            raise DataError(obstacle)
        self.steps = GraphedSteps(self.task.meta, None if obstacle or config.graph == "off" else capture)
        self.label_history: LabelHistory | None = None
        if self.method.updates_labels:
            stream = generator(config.seed, "label course")
            self.label_history = LabelHistory(self.soft_labels, self.method.class_labels(), config.epochs, stream)

    @property
    def done(self) -> bool:
        return self.epoch >= self.config.epochs

    @property
    def phases(self) -> list[Phase]:
        """The phases of the run; images of a later one may depend on what the method has found by now."""
        return [phase for phase in self.method.phases() if phase.epochs]

    @property
    def soft_labels(self) -> Tensor:
        """The labels now in force for the training images, without the meta set: [len(splits.train), classes]."""
        return self.method.soft_labels()[: len(self.splits.train)]

    def train_epoch(self) -> Metrics:
        """Pass over the training images once and return their metrics; DivergenceError if one is not finite."""
        started = time.perf_counter()
        self._take_up_changes()
        with self.global_stream.active():
            metrics = self._pass_over_training_set()
        self.epoch += 1
        metrics |= evaluate(self.model, self.splits.meta, "meta")
        metrics |= evaluate(self.model, self.splits.val, "val")
        labels = self.soft_labels
        metrics |= label_metrics(labels, self.splits.noisy, self.splits.train.targets)
        if self.label_history is not None:
            metrics["label_moved"] = float(self.label_history.distance_moved(labels).mean())
            metrics |= mistakes_auc(labels, self.splits.noisy, self.splits.train.targets)
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise DivergenceError(f"{name} is {value} after epoch {self.epoch}")
        if self.label_history is not None:
            self.label_history.record(self.epoch, labels, self.method.class_labels())
        metrics["seconds"] = time.perf_counter() - started
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return all that later epochs read, in tensors and plain values that alias nothing."""
        state = {
            "config": self.config.model_dump(),
            "epoch": self.epoch,
            "model_steps": self.model_steps,
            "streams": {purpose: stream.get_state() for purpose, stream in self.streams.items()},
            "global_stream": self.global_stream.state,
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        return copy.deepcopy(state)

    def load_state_dict(self, state: dict[str, Any], changeable: Collection[str] = ()) -> None:
        """Continue where `state_dict` was called.

        Settings named in `changeable`, some of `mid_run_changes.CHANGEABLE`, may differ from those of the saved run:
        this run's are in force from now on. ValueError if any other setting differs.
        """
        own, saved = self.config.model_dump(), state["config"]
        names = own if own["method"] == saved["method"] else RunConfig.model_fields  # others have other parameters
        differing = [name for name in names if name not in changeable and own[name] != saved.get(name)]
        if differing:
            expected, got = (
                ", ".join(f"{name} {settings.get(name)!r}" for name in differing) for settings in (saved, own)
            )
            allowed = f"; only {', '.join(sorted(changeable))} may change in mid-run" if changeable else ""
            raise ValueError(f"expected {expected} as in the saved run, got {got}{allowed}")
        state = copy.deepcopy(state)  # optimisers keep the tensors they are given
        for group in state["optimizer"]["param_groups"]:
            group.update(self._optimizer_options())
        self.epoch, self.model_steps = state["epoch"], state["model_steps"]
        self._take_up_changes()
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self._set_optimizer_options()
        self.steps.reset()
        for purpose, stream in self.streams.items():
            stream.set_state(state["streams"][purpose].cpu())
        self.global_stream.state = state["global_stream"]

    def _build_method(self) -> Method:
        method: Method = method_class(self.config.method)(self.task)
        return method

    def _take_up_changes(self) -> None:
        """Put the settings of this epoch in force; the method goes on with its state."""
        config = self.config.at_epoch(self.epoch)
        if config != self.task.config:
            state = copy.deepcopy(self.method.state_dict())
            self.task = replace(self.task, config=config)
            self.method = self._build_method()
            self.method.load_state_dict(state)
            self._set_optimizer_options()
            self.steps.reset()

    def _optimizer_options(self) -> dict[str, Any]:
        return _optimizer_options(self.task.config, capturable=self.lr is not None)

    def _set_optimizer_options(self) -> None:
        for group in self.optimizer.param_groups:
            group.update(self._optimizer_options())
            if self.lr is not None:
                group["lr"] = self.lr

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "method": self.method}
        return parts if self.label_history is None else {**parts, "label_history": self.label_history}

    def _pass_over_training_set(self) -> Metrics:
        config = self.config
        phase, epochs_before = self._current_phase()
        if phase.fresh_model and not epochs_before:
            # New weights and a clear optimiser, in place: the method holds both.
            self.model.load_state_dict(self._fresh_model().state_dict())
            self.optimizer.state.clear()
            self.steps.reset()
        order = copy_to(self.device, torch.randperm(len(phase.images), generator=self.streams["order"]))
        batches = split_into_batches(phase.images[order], config.batch_size)
        sizes = [len(batch) for batch in batches]
        drawn = draw_augmentation(config.augment, sizes, self.images.shape, self.streams["augment"])
        augmentation = copy_to(self.device, drawn).split(sizes)
        total = torch.zeros((), device=self.device)
        lr = phase.lr
        for number, index in enumerate(batches):
            factor = lr_schedule(config.schedule, epochs_before * len(batches) + number, phase.epochs * len(batches))
            lr = phase.lr * factor
            self._set_lr(lr, factor)
            total += self.steps.run(self._step, self.method.step_kind(self.model_steps), index, augmentation[number])
            self.model_steps += 1
        self.method.end_epoch()
        return {"train_loss": float(total) / len(batches), "lr": lr, **self.method.epoch_metrics()}

    def _set_lr(self, lr: float, factor: float) -> None:
        """Let the next step be of this learning rate, `factor` of that at the start of the phase."""
        if self.lr is not None and isinstance(self.lr_factor, Tensor):
            self.lr.fill_(lr)
            self.lr_factor.fill_(factor)
            return
        self.lr_factor = factor
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def _step(self, index: Tensor, drawn: Tensor) -> Tensor:
        """Train the model on images [n], augmented as drawn [n, k]; return the training loss, a scalar."""
        inputs = augmented_batch(self.images, index, drawn)
        given, trusted = self.task.given[index], self.task.trusted[index]
        loss = self.method.step(Batch(index, inputs, given, trusted, self.model_steps, self.lr_factor))
        optimizer_step(self.optimizer)
        return loss

    def _current_phase(self) -> tuple[Phase, int]:
        """The phase of the next epoch, and the number of its epochs that have ended."""
        before = self.epoch
        phases = self.phases
        for phase in phases:
            if before < phase.epochs:
                return phase, before
            before -= phase.epochs
        return phases[-1], before + phases[-1].epochs

    def _fresh_model(self) -> torch.nn.Module:
        train = self.splits.train
        model = build_model(self.config.model, train.shape, train.classes, self.config.width).to(self.device)
        return apply_precision(model, self.config)


def _meta_step_parameters(config: RunConfig) -> MetaStepParameters:
    """Parameters of meta batches: the method's, or the defaults for one that declares none."""
    parameters = config.parameters
    return parameters if isinstance(parameters, MetaStepParameters) else MetaStepParameters()


def lr_schedule(schedule: str, step: int, steps: int) -> float:
    """Return the model's learning rate at a step of a phase, as a fraction of that at its start."""
    return 0.5 * (1 + math.cos(math.pi * step / steps)) if schedule == "cosine" else 1.0


def _optimizer(config: RunConfig, model: torch.nn.Module, lr: Tensor | None = None) -> Optimizer:
    """The optimiser of a run; in capturable form where its learning rate is a tensor."""
    optimizers_without_dynamo()
    kinds: dict[str, type[SGD | Adam | AdamW]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
    options = _optimizer_options(config, capturable=lr is not None)
    return kinds[config.optimizer](model.parameters(), lr=config.lr if lr is None else lr, **options)


def _optimizer_options(config: RunConfig, *, capturable: bool) -> dict[str, Any]:
    form = capturable_options(config.optimizer, capturable)
    if config.optimizer == "sgd":
        # Without momentum Nesterov's form is plain SGD; torch refuses the two together.
        nesterov = config.nesterov and config.momentum > 0
        return {"momentum": config.momentum, "nesterov": nesterov, "weight_decay": config.weight_decay, **form}
    return {"betas": (config.momentum, 0.999), "weight_decay": config.weight_decay, **form}
