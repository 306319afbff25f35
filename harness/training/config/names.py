"""Data sets and models by name, without torch: what a command line can check at once.

A name of either kind may also point to a user's own, `npz:FILE`, `folder:DIR`, `package.module:function`. To add a
model here: a line in `MODELS` that says where its function stands.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

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
"""Torchvision's image classification sets: what its class is called with for the training part and for the test part;
None where the set brings no test part of its own."""

DATASETS = ("digits", *TORCHVISION)
OWN_DATASET = r"^(npz|folder):.+"

MODELS = {
    "mlp": "harness.training.models.small_networks:mlp",
    "cnn": "harness.training.models.small_networks:cnn",
    "resnet18": "harness.training.models.resnet:resnet18",
    "resnet34": "harness.training.models.resnet:resnet34",
    "wrn28": "harness.training.models.wide_resnet:wrn28",
}
"""Where each model's function (shape of one image, classes, width) → module is."""

OWN_MODEL = r"^(torchvision:\w+|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$"


def dataset_name(name: str) -> str:
    return _checked(name, DATASETS, OWN_DATASET, "a data set, npz:FILE or folder:DIR")


def model_name(name: str) -> str:
    return _checked(name, MODELS, OWN_MODEL, "a model, torchvision:NAME or module:function")


def noise_map(text: str) -> str:
    if not re.fullmatch(r"(\d+>\d+( +\d+>\d+)*)?", text.strip()):
        raise _complaint(
            "classes as in '2>7 3>8'", f"the string {text!r}", "write FROM>TO for each, with spaces between"
        )
    return text


def _checked(name: str, known: Iterable[str], pattern: str, expected: str) -> str:
    known = list(known)
    if name in known or re.match(pattern, name):
        return name
    close = difflib.get_close_matches(name.lower(), [each.lower() for each in known], n=1, cutoff=0.5)
    meant = [each for each in known if close and each.lower() == close[0]]
    remedy = f"did you mean {meant[0]}?" if meant else f"use one of {', '.join(known)}"
    raise _complaint(expected, f"the string {name!r}", remedy)


def _complaint(expected: str, got: str, remedy: str) -> PydanticCustomError:
    # The kind and the context are those that `harness.space` has words for.
    context = {"expected": expected, "got": got, "remedy": remedy}
    return PydanticCustomError("complaint", "expected {expected}, got {got}; {remedy}", context)


def schema(known: Iterable[str], pattern: str) -> dict[str, Any]:
    """What a JSON schema says of such a name, so that editors can offer the known ones."""
    return {"anyOf": [{"enum": list(known)}, {"type": "string", "pattern": pattern}]}
