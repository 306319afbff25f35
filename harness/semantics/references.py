"""References for learned labels: a table of class similarity from people, other models or a taxonomy."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from analysis.frames.class_similarity import Table, class_table, superclass_table
from harness.common.errors import InputError
from harness.common.formatting import format_list
from harness.common.seeds import derive_seed
from harness.results.semantics import ReferenceModel
from harness.training.config.run_config import RunConfig
from harness.training.data.class_names import class_words, find_class_or_index

if TYPE_CHECKING:
    from harness.training.data.images import Images

KINDS = ("votes", "model", "superclasses:FILE")


@dataclass(frozen=True)
class Reference:
    """A table [C, C]; `words` names its source in a sentence; `facts` say how it was made."""

    table: Table
    words: str
    facts: dict[str, Any] = field(default_factory=dict)


def check_reference(requested: str) -> None:
    """Raise InputError unless `requested` is one of the kinds, and its file exists."""
    kind, _, file = requested.partition(":")
    if requested not in ("votes", "model") and not (kind == "superclasses" and file):
        raise InputError(f"--reference: expected one of {', '.join(KINDS)}, got '{requested}'")
    if file and not Path(file).is_file():
        raise InputError(f"--reference: expected a YAML file of groups, got nothing at {file}; correct the path")


def votes(config: RunConfig) -> Reference | None:
    """Votes of people on images of the data set: of the pool if it has votes, else of the test part.

    None where the data set brings no votes. Nothing is trained or chosen by them.
    """
    from harness.training.data.pool import load_pool, load_test

    for part, load in (("training", load_pool), ("test", load_test)):
        images = load(config)
        if images.reference is not None:
            table = _class_table(f"votes of the {part} part", images.reference.numpy(), images.targets.numpy(), images)
            known = int((images.targets >= 0).sum())
            return Reference(table, "people's votes", {"kind": "votes", "part": part, "images": known})
    return None


def superclasses(file: Path, class_names: Sequence[str]) -> Reference:
    """The groups of a file, NAME: [class, …] each, the classes by name or index.

    Raises:
        InputError: it is no such file.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        groups = yaml.load(text, yaml.BaseLoader)  # all is text: 010 is no 8, no is no false; tags are ignored
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{file}: expected a YAML file of groups, got the error: {error}; correct it") from error
    wanted = f"{file}: expected NAME: [class, …] for each group, classes by their name or number"
    if not isinstance(groups, dict) or not all(
        isinstance(members, list) and all(isinstance(c, str) for c in members) for members in groups.values()
    ):
        raise InputError(f"{wanted}, got something else; write it so")
    index_of = {c: find_class_or_index(c, class_names) for members in groups.values() for c in members}
    indices = {c: index for c, index in index_of.items() if index is not None}
    if unknown := [c for c in index_of if c not in indices]:
        raise InputError(f"{wanted}: {class_words(class_names)}, got {format_list(unknown)}; correct the groups")
    by_index = {str(name): [indices[c] for c in members] for name, members in groups.items()}
    try:
        table = superclass_table(by_index, class_names)
    except ValueError as error:
        raise InputError(f"{wanted}; {error}; correct the groups") from error
    if len(groups) in (1, len(class_names)):
        raise InputError(
            f"{wanted}, got {len(groups)} groups of {len(class_names)} classes: all pairs are the same; regroup"
        )
    return Reference(table, "the superclasses", {"kind": "superclasses", "file": str(file), "groups": groups})


def model_config(config: RunConfig, epochs: int, seed: int) -> RunConfig:
    """An independent model of the kind of `config`: one-hot on right labels; half of the pool where it had all."""
    from harness.training.data.splits import count_trainable

    left = count_trainable(config)
    changes: dict[str, Any] = {
        "method": "one_hot",
        "noise": "given" if config.noise == "given" else "none",
        "noise_rate": 0.0,
        "train_size": config.train_size or max(1, left // 2),
        "train_on_meta": True,
        "epochs": epochs,
        "seed": seed,
    }
    return config.model_copy(update=changes)


def models(
    config: RunConfig, epochs: int, count: int, seed: int, folder: Path, log: Callable[[str], None]
) -> Reference:
    """The mean prediction of `count` independent models by the true class of images they did not see.

    Each is saved under `folder`. A saved model is not trained again; an interrupted one continues.

    Args:
        seed: the search's, from which those of the models are derived.
        log: called with a line for each model that is trained.

    Raises:
        InputError: a model diverged, or its data cannot be had.
    """
    tables, accuracies = [], []
    for index in range(count):
        wanted = model_config(config, epochs, derive_seed(seed, f"semantics:{index}") % 2**31)
        model_folder = folder / f"model-{wanted.seed}"
        model = ReferenceModel.load_or_none(model_folder)
        if model is None or model.config != wanted:
            log(f"reference: model {index + 1} of {count}, {wanted.epochs} epochs")
            model = _train(wanted, model_folder)
            model.save(model_folder)
        tables.append(np.array(model.table))
        accuracies.append(model.accuracy)
    facts = {
        "kind": "model",
        "models": count,
        "model": config.model,
        "width": config.width,
        "accuracy": float(np.mean(accuracies)),
    }
    words = "an independent model" if count == 1 else f"{count} independent models"
    return Reference(np.mean(tables, axis=0), words, facts)


def _class_table(source: str, labels: np.ndarray, classes: np.ndarray, images: "Images") -> Table:
    try:
        return class_table(labels, classes, images.class_names)
    except ValueError as error:
        raise InputError(f"reference: {source}: {error}; add images of these, or choose another reference") from error


def _train(config: RunConfig, folder: Path) -> ReferenceModel:
    import torch

    from harness.tuning.storage.sweep_folder import CHECKPOINT
    from harness.tuning.worker.checkpoint import discard
    from harness.tuning.worker.runner import TrialRunner

    runner = TrialRunner(config.model_dump(), folder)
    if runner.failure:  # a checkpoint of other settings
        discard(folder / CHECKPOINT)
        runner = TrialRunner(config.model_dump(), folder)
    while not runner.finished:
        for warning in runner.run_chunk().warnings:
            print(warning, file=sys.stderr)
    run = runner.run
    if runner.failure or run is None:
        raise InputError(f"reference: expected a model, got a run that failed ({runner.failure}); choose another")
    from harness.training.data.pool import load_pool
    from harness.training.metrics import logits_in_batches

    pool = load_pool(config).to(run.device)
    unseen = pool.targets >= 0
    unseen[run.images.index] = False
    images = pool[unseen.nonzero().flatten()]
    batches = logits_in_batches(run.model, len(images), images.batch)
    p = torch.cat([logits.float().softmax(1) for _, logits in batches]).cpu().numpy()
    truth = images.targets.cpu().numpy()
    table = _class_table("predictions for images that a model did not see", p, truth, pool)
    accuracy = float((p.argmax(1) == truth).mean())
    return ReferenceModel(config=config, table=table.tolist(), accuracy=accuracy, images=len(truth))
