"""Names that a configuration may use, and where each is implemented. Imports neither torch nor NumPy.

A line here makes a method, a data set, a noise or a model known by name to space files, schema and help. Data sets and
models of a user's own need none: `npz:FILE`, `folder:DIR`, `package.module:function`.
"""

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class MethodEntry:
    """A training method: where its class is, and whether it differentiates through a step of the model."""

    location: str
    meta_gradient: bool = False


_METHODS = "harness.training.methods"
_BASELINES = f"{_METHODS}.baselines"

METHODS = {
    "learned": MethodEntry(f"{_METHODS}.learned:LearnedLabels", meta_gradient=True),
    "one_hot": MethodEntry(f"{_BASELINES}.one_hot:OneHot"),
    "label_smoothing": MethodEntry(f"{_BASELINES}.label_smoothing:LabelSmoothing"),
    "fine_tuning": MethodEntry(f"{_BASELINES}.fine_tuning:FineTuning"),
    "bootstrapping": MethodEntry(f"{_BASELINES}.bootstrapping:Bootstrapping"),
    "gce": MethodEntry(f"{_BASELINES}.gce:GeneralisedCrossEntropy"),
    "elr": MethodEntry(f"{_BASELINES}.elr:EarlyLearningRegularisation"),
    "online_label_smoothing": MethodEntry(f"{_BASELINES}.online_label_smoothing:OnlineLabelSmoothing"),
    "reweighting": MethodEntry(f"{_BASELINES}.reweighting:Reweighting", meta_gradient=True),
    "distillation": MethodEntry(f"{_BASELINES}.distillation:Distillation"),
}

_NOISE = "harness.training.data.noise"

NOISES = {
    "symmetric": f"{_NOISE}:symmetric",
    "asymmetric": f"{_NOISE}:asymmetric",
    "pair": f"{_NOISE}:pair",
    "instance": f"{_NOISE}:instance",
}

MODELS = {
    "mlp": "harness.training.models.small_networks:mlp",
    "cnn": "harness.training.models.small_networks:cnn",
    "resnet18": "harness.training.models.resnet:resnet18",
    "resnet34": "harness.training.models.resnet:resnet34",
    "wrn28": "harness.training.models.wide_resnet:wrn28",
}
OWN_MODEL = r"^(torchvision:\w+|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$"

METRICS = (
    "train_loss",
    "meta_loss",
    "meta_accuracy",
    "meta_calibration_error",
    "val_loss",
    "val_accuracy",
    "val_calibration_error",
    "label_accuracy",
    "noisy_labels_corrected",
    "clean_labels_kept",
    "label_entropy",
    "label_moved",
    "mistakes_auc",
    "label_gradient_norm",
    "label_step_norm",
    "lr",
    "seconds",
)
"""What `harness.training.metrics` computes."""

Keywords = Mapping[str, Any]

BY_TRAIN = ({"train": True}, {"train": False})
BY_SPLIT = ({"split": "train"}, {"split": "test"})
BY_TRAINVAL = ({"split": "trainval"}, {"split": "test"})
BY_VAL = ({"split": "train"}, {"split": "val"})
UNDIVIDED: tuple[Keywords, None] = ({}, None)

TORCHVISION: dict[str, tuple[Keywords, Keywords | None]] = {
    "CIFAR10": BY_TRAIN,
    "CIFAR100": BY_TRAIN,
    "CLEVRClassification": BY_VAL,
    "Caltech101": UNDIVIDED,
    "Caltech256": UNDIVIDED,
    "Country211": BY_SPLIT,
    "DTD": BY_SPLIT,
    "EMNIST": ({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
    "EuroSAT": UNDIVIDED,
    "FGVCAircraft": BY_TRAINVAL,
    "FashionMNIST": BY_TRAIN,
    "Flowers102": BY_SPLIT,
    "Food101": BY_SPLIT,
    "GTSRB": BY_SPLIT,
    "ImageNet": BY_VAL,
    "Imagenette": BY_VAL,
    "KMNIST": BY_TRAIN,
    "MNIST": BY_TRAIN,
    "OxfordIIITPet": BY_TRAINVAL,
    "PCAM": BY_SPLIT,
    "Places365": ({"split": "train-standard"}, {"split": "val"}),
    "QMNIST": BY_TRAIN,
    "RenderedSST2": BY_SPLIT,
    "SEMEION": UNDIVIDED,
    "STL10": BY_SPLIT,
    "SUN397": UNDIVIDED,
    "SVHN": BY_SPLIT,
    "StanfordCars": BY_SPLIT,
    "USPS": BY_TRAIN,
}
"""Torchvision's image classification sets: keyword arguments of the class for the training part and for the test part;
None for a set without a test part of its own."""

_READERS = "harness.training.data.readers"

READERS = {
    "digits": f"{_READERS}.digits",
    **dict.fromkeys(TORCHVISION, f"{_READERS}.torchvision_sets"),
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST"), f"{_READERS}.idx"),
    "npz": f"{_READERS}.npz",
    "folder": f"{_READERS}.folder",
}
"""Data set, or kind of a user's own, → module that is its reader; see `harness.training.data.readers.reader`."""

OWN_KINDS = ("npz", "folder")
DATASETS = tuple(name for name in READERS if name not in OWN_KINDS)
OWN_DATASET = r"^(npz|folder):.+"


def load_object(location: str) -> Any:
    """Import `package.module:name`."""
    module, _, name = location.partition(":")
    return getattr(importlib.import_module(module), name)


def validate_dataset(name: str) -> str:
    return _validated(name, DATASETS, OWN_DATASET, "a data set, npz:FILE or folder:DIR")


def validate_model(name: str) -> str:
    return _validated(name, MODELS, OWN_MODEL, "a model, torchvision:NAME or module:function")


def validate_noise_map(text: str) -> str:
    if not re.fullmatch(r"(\d+>\d+( +\d+>\d+)*)?", text.strip()):
        raise _complaint(
            "classes as in '2>7 3>8'", f"the string {text!r}", "write FROM>TO for each, with spaces between"
        )
    return text


def _validated(name: str, known: Iterable[str], pattern: str, expected: str) -> str:
    known = list(known)
    if name in known or re.match(pattern, name):
        return name
    close = difflib.get_close_matches(name.lower(), [each.lower() for each in known], n=1, cutoff=0.5)
    meant = [each for each in known if close and each.lower() == close[0]]
    remedy = f"did you mean {meant[0]}?" if meant else f"use one of {', '.join(known)}"
    raise _complaint(expected, f"the string {name!r}", remedy)


def _complaint(expected: str, got: str, remedy: str) -> PydanticCustomError:
    # `harness.space` renders errors of this kind with these fields.
    context = {"expected": expected, "got": got, "remedy": remedy}
    return PydanticCustomError("complaint", "expected {expected}, got {got}; {remedy}", context)


def name_schema(known: Iterable[str], pattern: str) -> dict[str, Any]:
    """JSON schema of a name: editors offer the known ones, others must match the pattern."""
    return {"anyOf": [{"enum": list(known)}, {"type": "string", "pattern": pattern}]}
