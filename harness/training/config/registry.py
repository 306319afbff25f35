"""Names that a configuration may use, and where each is implemented. Imports neither torch nor NumPy.

A line here makes a data set, a noise or a model known by name to space files, schema and help; methods are declared in
`harness.training.config.methods`. What is a user's own needs none: `npz:FILE`, `folder:DIR`, `table:FILE`,
`package.module:name`.
"""

import difflib
import importlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.common.formatting import format_list

NOISES = {name: f"harness.training.data.noise:{name}" for name in ("symmetric", "asymmetric", "pair", "instance")}

MODELS = {
    "linear": "harness.training.models.small_networks:linear",
    "mlp": "harness.training.models.small_networks:mlp",
    "cnn": "harness.training.models.small_networks:cnn",
    "resnet18": "harness.training.models.residual_networks:resnet18",
    "resnet34": "harness.training.models.residual_networks:resnet34",
    "wrn28": "harness.training.models.residual_networks:wrn28",
}
BATCH_NORM_MODELS = ("cnn", "resnet18", "resnet34", "wrn28")
"""Models whose BatchNorm cannot be trained on batches of one image."""
USER_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""Name of a user's own class or function, `package.module:name`; also `torchvision:NAME` of a model."""

_METRICS = """
train_loss meta_loss meta_accuracy meta_calibration_error val_loss val_accuracy val_calibration_error label_accuracy
noisy_labels_corrected clean_labels_kept label_entropy label_moved mistakes_auc label_gradient_norm label_step_norm lr
seconds"""
METRICS = tuple(_METRICS.split())
"""Names of the metrics that `harness.training.metrics` computes."""

Keywords = Mapping[str, Any]

_BY_ARGUMENTS: tuple[tuple[Keywords, Keywords | None, str], ...] = (
    ({"train": True}, {"train": False}, "CIFAR10 CIFAR100 FashionMNIST KMNIST MNIST QMNIST USPS"),
    ({"split": "train"}, {"split": "test"}, "Country211 DTD Flowers102 Food101 GTSRB PCAM RenderedSST2 STL10 SVHN"),
    ({"split": "train"}, {"split": "test"}, "StanfordCars"),
    ({"split": "trainval"}, {"split": "test"}, "FGVCAircraft OxfordIIITPet"),
    ({"split": "train"}, {"split": "val"}, "CLEVRClassification ImageNet Imagenette"),
    ({"split": "train-standard"}, {"split": "val"}, "Places365"),
    ({"split": "balanced", "train": True}, {"split": "balanced", "train": False}, "EMNIST"),
    ({}, None, "Caltech101 Caltech256 EuroSAT SEMEION SUN397"),
)
TORCHVISION = {name: (train, test) for train, test, names in _BY_ARGUMENTS for name in names.split()}
"""Torchvision's image classification sets: keyword arguments of the class for the training part and for the test part;
None for a set without a test part of its own."""

_READERS = "harness.training.data.readers"

READERS = {
    "digits": f"{_READERS}.digits",
    **dict.fromkeys(TORCHVISION, f"{_READERS}.torchvision_sets"),
    **dict.fromkeys(("MNIST", "FashionMNIST", "KMNIST"), f"{_READERS}.idx"),
    "npz": f"{_READERS}.npz",
    "folder": f"{_READERS}.folder",
    "table": f"{_READERS}.feature_table",
}
"""Data set, or kind of a user's own, → module that is its reader; see `harness.training.data.readers.reader`."""

USER_FUNCTION_READER = f"{_READERS}.user_function"
USER_DATA_KINDS = ("npz", "folder", "table")
DATASETS = ("digits", *sorted(READERS.keys() - {"digits", *USER_DATA_KINDS}))
FILE_ENDINGS = {"npz": (".npz",), "table": (".csv", ".tsv", ".parquet")}
"""Kind of a user's own data in a file → usual endings."""
USER_DATASET_PATTERN = rf"^(npz|folder|table):.+|{USER_PATTERN}"


def is_user_object(name: str, known: Iterable[str] = ()) -> bool:
    """Whether a name is `module:name` of a user's own, and neither known nor of another kind, such as `npz:FILE`."""
    kinds = (*USER_DATA_KINDS, "torchvision")
    return name not in known and name.partition(":")[0] not in kinds and bool(re.match(USER_PATTERN, name))


def load_object(location: str) -> Any:
    """Import `package.module:name`."""
    module, _, name = location.partition(":")
    return getattr(importlib.import_module(module), name)


def user_dataset(text: str) -> str:
    """What a user probably meant who named a data set of their own without its kind; empty if that is not known."""
    kind, _, rest = text.partition(":")
    if kind.lower() in USER_DATA_KINDS:
        return f"{kind.lower()}:{rest or 'PATH'}"
    ending = Path(text).suffix.lower()
    if Path(text).is_dir() or (os.sep in text and not ending):
        return f"folder:{text}"
    kind_of_file = next((kind for kind, endings in FILE_ENDINGS.items() if ending in endings), "")
    return kind_of_file and f"{kind_of_file}:{text}"


def name_type(
    known: Iterable[str], pattern: str, expected: str, suggest: Callable[[str], str] = lambda text: ""
) -> Any:
    """Type of a name, for pydantic: one of the known ones, or one that matches the pattern; errors say `expected`.

    `suggest` returns what was probably meant by another text, or nothing.
    """
    names = list(known)

    def validate(name: str) -> str:
        if name in names or (re.match(pattern, name) and suggest(name) in ("", name)):
            return name
        close = difflib.get_close_matches(name.lower(), [known_name.lower() for known_name in names], n=1, cutoff=0.5)
        meant = [known_name for known_name in names if known_name.lower() in close]
        meant = list(filter(None, [suggest(name), *meant]))
        remedy = f"did you mean {meant[0]}?" if meant else f"use one of {format_list(names, 10)}"
        raise value_error(expected, f"the string {name!r}", remedy)

    schema = {"anyOf": [{"enum": names}, {"type": "string", "pattern": pattern}]}
    return Annotated[str, AfterValidator(validate), WithJsonSchema(schema)]


def value_error(expected: str, got: str, remedy: str) -> PydanticCustomError:
    """Return an error that `harness.space` shows with line and key."""
    context = {"expected": expected, "got": got, "remedy": remedy}
    return PydanticCustomError("complaint", "expected {expected}, got {got}; {remedy}", context)
