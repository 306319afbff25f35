"""A hyperparameter research harness for *Learning Soft Labels via Meta Learning* (arXiv:2009.09496).

Labels are parameters: every few steps of the model, the training labels too take a step down the gradient of the loss
on a small trusted *meta set*. The harness searches the hyperparameters of that method, tracks every run, and tells
whether the winner beats well-tuned baselines.

    space = harness.load_space("label_lr.yaml")
    result = harness.search(space)                    # a sweep: Optuna proposes, Ray Tune places, MLflow shows
    harness.confirm("label_lr")                       # its winner against the baselines, on fresh seeds
    harness.labels("label_lr").table                  # labels of the data that are probably wrong, worst first
    harness.compare("label_lr", "wide")               # sweeps side by side
    harness.train(harness.RunConfig(label_lr=0.3))    # one run, in this process

Everything named here is imported on its first use. `python -m harness` lists the commands.

The packages are layers; each imports only those below it:

    distill                   do the classifiers of a sweep teach well?
    search · confirm          a sweep; its winner on fresh seeds and the test images
    semantics                 do its labels say which classes are alike?
    labels                    which labels of the data are probably wrong?
    compare · report          sweeps side by side; one sweep as a page (figures: the package `analysis`)
    train · sync              one run alone; send what a tracking server lacks
    tuning                    Optuna's study holds every trial; Ray Tune places trials
    tracking                  a durable event log on disk, and MLflow as a view of it
    results                   what the commands find, as typed JSON files
    space                     a YAML file → one frozen, validated `Space`
    training                  one run: its configuration, data, model and loop
    metalabel · statistics    the maths: of labels (torch), of intervals (NumPy, SciPy)
    common                    what every layer may use
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.compare import compare_sweeps as compare
    from harness.confirm.run import confirm
    from harness.labels.run import labels
    from harness.results import Confirmation, Distillation, Provenance, Semantics, SweepSummary
    from harness.search.run import search
    from harness.space import Space
    from harness.space import load as load_space
    from harness.train import train
    from harness.trainable import SoftLabelTrainable, read_pbt_policy
    from harness.training.config.run_config import RunConfig
    from harness.training.data.readers.raw_part import RawDataset, RawPart

__all__ = [
    "Confirmation",
    "Distillation",
    "Provenance",
    "RawDataset",
    "RawPart",
    "RunConfig",
    "Semantics",
    "SoftLabelTrainable",
    "Space",
    "SweepSummary",
    "compare",
    "confirm",
    "labels",
    "load_space",
    "read_pbt_policy",
    "search",
    "train",
]

_RESULTS = ("Confirmation", "Distillation", "Provenance", "Semantics", "SweepSummary")

_LOCATIONS = {
    **{name: ("harness.results", name) for name in _RESULTS},
    "RunConfig": ("harness.training.config.run_config", "RunConfig"),
    "RawDataset": ("harness.training.data.readers.raw_part", "RawDataset"),
    "RawPart": ("harness.training.data.readers.raw_part", "RawPart"),
    "SoftLabelTrainable": ("harness.trainable", "SoftLabelTrainable"),
    "read_pbt_policy": ("harness.trainable", "read_pbt_policy"),
    "Space": ("harness.space", "Space"),
    "load_space": ("harness.space", "load"),
}
"""Public name → module and its name there."""

_CALLABLE_MODULES = ("compare", "confirm", "labels", "search", "train")
"""Submodules that are called as functions; see `harness.common.callable_module`."""


def __getattr__(name: str) -> Any:
    if name in _CALLABLE_MODULES:
        return importlib.import_module(f"harness.{name}")
    if name in _LOCATIONS:
        module, attribute = _LOCATIONS[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'harness' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
