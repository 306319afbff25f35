"""Problems of a configuration found before torch is imported: missing files, settings that exclude each other."""

import importlib.util
import os
import shutil
from collections.abc import Iterable

from pydantic import ValidationError

from harness.common.urls import BadUrl
from harness.training.config.methods import ConfidentLearningParameters, DistillationParameters, MetaStepParameters
from harness.training.config.registry import BATCH_NORM_MODELS, DATASETS, MODELS, USER_DATA_KINDS, is_user_object
from harness.training.config.run_config import RunConfig
from harness.training.config.teacher_files import teacher_logits_file
from harness.training.config.user_code import add_working_directory


def check_config(config: RunConfig) -> list[str]:
    """Return the problems that the run would meet at its start, a line each. Reads no arrays and no images."""
    from harness.training.data.readers.reader import find_reader  # NumPy takes 0.1 s to import

    problems = find_reader(config.dataset).problems(config)
    own_data = config.dataset.partition(":")[0] in USER_DATA_KINDS or is_user_object(config.dataset, DATASETS)
    if config.noise == "given" and not own_data:
        problems.append(f"noise: expected noisy labels in {config.dataset}, got a set without; choose another noise")
    if config.model in BATCH_NORM_MODELS:
        problems += batches_of_one(config, config.meta_size)
    problems += [*_check_module("model", config.model, MODELS), *_check_module("noise", config.noise)]
    return problems + _check_teacher(config) + check_settings(config)


def check_settings(config: RunConfig) -> list[str]:
    """Return the problems of settings that need no look at data, model or teacher, a line each."""
    problems = _check_changes(config) + _check_confident_learning(config)
    parameters = config.parameters
    finite_difference = isinstance(parameters, MetaStepParameters) and parameters.label_gradient == "finite_difference"
    if config.amp == "bf16" and finite_difference:
        problems.append(
            "label_gradient: expected an exact estimator beside amp: bf16, got finite_difference, whose small "
            "differences are lost in bfloat16's rounding; choose forward, or amp: none"
        )
    if config.graph == "on" and config.device == "cpu":
        problems.append("graph: expected a GPU for on, got device: cpu; set graph: auto")
    if config.compile and not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        problems.append(
            "compile: expected a C++ compiler, which torch.compile needs, got none on PATH; install g++, or set "
            "compile: false"
        )
    return problems


def batches_of_one(config: RunConfig, meta_images: int) -> list[str]:
    """Return the batches that would hold one image of a network with BatchNorm, a line each."""
    sizes = {"batch_size": config.batch_size}
    if isinstance(config.parameters, MetaStepParameters):
        sizes |= {"meta_batch_size": config.parameters.meta_batch_size, "meta_size": meta_images}
    return [
        f"{name}: expected 2 or more for model {config.model}, whose BatchNorm needs several images, got 1; "
        "choose a larger one, or a model without BatchNorm"
        for name, size in sizes.items()
        if size == 1
    ]


def _check_changes(config: RunConfig) -> list[str]:
    try:
        config.at_epoch(config.epochs)
    except ValidationError as error:
        return [
            f"changes: {details['loc'][-1]}: {details['msg']}, got {details['input']}; correct it"
            for details in error.errors()
        ]
    return []


def _check_confident_learning(config: RunConfig) -> list[str]:
    parameters = config.parameters
    if not isinstance(parameters, ConfidentLearningParameters):
        return []
    problems = []
    if not parameters.fold_epochs(config.epochs):
        problems.append(
            f"epochs: expected more than cl_folds {parameters.cl_folds}, one for each fold and one for the model of "
            f"what is left, got {config.epochs}; raise epochs, or lower cl_folds"
        )
    if importlib.util.find_spec("cleanlab") is None:
        problems.append(
            "method: expected the package cleanlab, which confident_learning needs, got none; pip install cleanlab"
        )
    return problems


def _check_teacher(config: RunConfig) -> list[str]:
    parameters = config.parameters
    if not isinstance(parameters, DistillationParameters):
        return []
    teacher = parameters.teacher
    try:
        file = teacher_logits_file(teacher, config.seed)
    except BadUrl as error:
        return [f"teacher: {error}"]
    if teacher and file.is_file():
        return []
    return [
        f"teacher: expected the logits of a teacher for seed {config.seed}, got "
        f"{f'nothing at {file}' if teacher else 'none'}; train it with harness.distill, "
        "or set teacher to the folder of one that was"
    ]


def _check_module(setting: str, name: str, known: Iterable[str] = ()) -> list[str]:
    module, _, function = name.partition(":")
    add_working_directory()
    if not is_user_object(name, known) or importlib.util.find_spec(module.partition(".")[0]) is not None:
        return []
    return [
        f"{setting}: expected the function {function} of a module that can be imported, got {module}, which cannot; "
        "start from the folder that holds it, or set PYTHONPATH"
    ]
