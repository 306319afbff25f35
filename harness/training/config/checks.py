"""What can be told of a run before torch is imported: files that are not there, settings that cannot go together."""

import importlib.util
import os
import shutil
import sys
import zipfile
from pathlib import Path

from harness.common.urls import BadUrl, Url, is_url
from harness.training.config.names import MODELS
from harness.training.config.run_config import RunConfig
from harness.training.data.readers.paths import IDX_SETS, folder_parts, idx_folder, teacher_file

META_LEARNING = ("learned", "reweighting")
"""The methods that differentiate through a step of the model."""


def check_data(config: RunConfig) -> list[str]:
    """Problems that the run would end in at its start, a line each; those that can be told without reading the data.

    Reads no arrays and decodes no images; takes milliseconds.
    """
    kind, _, place = config.dataset.partition(":")
    match kind:
        case "npz":
            problems = _npz(Path(place).expanduser(), config)
        case "folder":
            problems = _folder(Path(place).expanduser(), config)
        case "digits":
            problems = []
        case _:
            problems = _torchvision(config)
    if config.noise == "given" and kind not in ("npz", "folder"):
        problems.append(f"noise: expected noisy labels in {config.dataset}, got a set without; choose another noise")
    return problems + _model(config.model) + _teacher(config) + check_computing(config)


def check_computing(config: RunConfig) -> list[str]:
    """Problems of how the run is to be computed, a line each."""
    problems = []
    if config.amp == "bf16" and config.label_gradient == "finite_difference" and config.method in META_LEARNING:
        problems.append(
            "label_gradient: expected an exact estimator beside amp: bf16, got finite_difference, whose small "
            "differences are lost in bfloat16's rounding; choose forward, or amp: none"
        )
    if config.compile and not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        problems.append(
            "compile: expected a C++ compiler, which torch.compile needs, got none on PATH; install g++, or set "
            "compile: false"
        )
    return problems


def _npz(file: Path, config: RunConfig) -> list[str]:
    if not file.is_file():
        return [f"dataset: expected an npz file, got nothing at {file}; correct the path"]
    try:
        with zipfile.ZipFile(file) as archive:
            held = {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        return [f"dataset: expected an npz file, got {file}, which cannot be opened ({error}); write it anew"]
    needed = ["x_train", "y_train", *([config.given_labels] if config.noise == "given" else [])]
    named = ", ".join(sorted(held)) or "none"
    return [f"dataset: expected an array {key} in {file}, got {named}; add it" for key in needed if key not in held]


def _folder(folder: Path, config: RunConfig) -> list[str]:
    parts = folder_parts(folder)
    if not parts:
        return [
            f"dataset: expected {folder} to hold train/CLASS and perhaps test/CLASS, or CLASS alone, got "
            "neither; correct the path, or move the images"
        ]
    if config.noise == "given" and "trusted" not in parts and not (folder / "given.csv").is_file():
        return [f"noise: expected {folder / 'given.csv'} or {folder / 'trusted'}, got neither; add one"]
    return []


def _torchvision(config: RunConfig) -> list[str]:
    root = Path(config.data_root).expanduser()
    idx = config.dataset in IDX_SETS
    there = idx_folder(config.dataset, root) is not None if idx else root.is_dir()
    if config.download or there:
        return []
    hint = ", or install Debian's package dataset-fashion-mnist" if config.dataset == "FashionMNIST" else ""
    return [
        f"data_root: expected a folder with the files of {config.dataset}, got {root}; set data_root to where they "
        f"are, or download: true{hint}"
    ]


def _teacher(config: RunConfig) -> list[str]:
    if is_url(config.teacher):
        try:
            Url.parse(config.teacher)
        except BadUrl as error:
            return [f"teacher: {error}"]
    if config.method != "distillation" or (config.teacher and teacher_file(config.teacher, config.seed).is_file()):
        return []
    got = f"nothing at {teacher_file(config.teacher, config.seed)}" if config.teacher else "none"
    return [
        f"teacher: expected the logits of a teacher for seed {config.seed}, got {got}; train it with harness.distill, "
        "or set teacher to the folder of one that was"
    ]


def _model(name: str) -> list[str]:
    module, _, function = name.partition(":")
    if name in MODELS or module == "torchvision":
        return []
    here = str(Path.cwd())
    if here not in sys.path:  # as `harness.training.models` looks for it
        sys.path.append(here)
    top = module.partition(".")[0]
    if importlib.util.find_spec(top) is None:
        return [
            f"model: expected the function {function} of a module that can be imported, got {module}, which cannot; "
            "start from the folder that holds it, or set PYTHONPATH"
        ]
    return []
