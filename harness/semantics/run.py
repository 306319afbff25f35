"""The function `semantics`: from a sweep's learned labels and a reference to `semantics.json`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.frames.class_similarity import class_table
from harness.common.errors import InputError, NothingCompleted
from harness.labels.label_runs import label_files, read_label_arrays
from harness.results import Confirmation, Semantics
from harness.results.sweep_data import check_data, example_configs
from harness.semantics.findings import build_semantics
from harness.semantics.references import (
    Reference,
    check_reference,
    models,
    superclasses,
    votes,
)
from harness.session import RunOptions, open_session
from harness.space import Space, load
from harness.tracking.spool import event_log
from harness.tracking.tracking_uri import resolve_uri
from harness.training.config.methods import LabelParameters
from harness.tuning.storage.sweep_folder import SweepFolder, find_sweep, recorded_tracking_uri
from harness.tuning.storage.workspace import SweepAccess, Workspace, open_workspace

if TYPE_CHECKING:
    from harness.confirm.configurations import Configuration

MIN_CLASSES = 3


def semantics(
    name: str,
    *,
    reference: str | None = None,
    models_of_reference: int = 3,
    runs_dir: Workspace | Path | str = "runs",
    log: Callable[[str], None] = lambda text: None,
) -> Semantics:
    """Compare the labels that a sweep learned with a reference.

    Args:
        name: the sweep, a folder in `runs_dir`.
        reference: votes, model or superclasses:FILE; votes where the data set brings them, else model, by default.
        models_of_reference: number of models that are trained for the reference `model`.
        log: called with a line of text before each step that takes long.

    Raises:
        FolderError: there is no such sweep, or another process holds it.
        SpaceError: its space file cannot be read.
        InputError: the reference is not valid.
        NothingCompleted: no arm left labels.
        DataError: the data set cannot be read.
    """
    if reference is not None:
        check_reference(reference)
    with open_workspace(runs_dir, SweepAccess(name)) as workspace:
        path = find_sweep(workspace.local, name)
        space = load(path / "space.yaml")
        check_data(example_configs(space), path, log)
        uri = resolve_uri(recorded_tracking_uri(path), workspace.local)
        from harness.confirm.configurations import choose_configurations

        with open_session(workspace, name, space, uri, RunOptions()) as session:
            folder = session.folder
            records = session.study.trial_records()
            confirmed = _confirmed(path)
            chosen: dict[str, Configuration] = {}
            for choice in choose_configurations(space, records, len(records)):
                if choice.name == confirmed.get(choice.arm):  # what a confirmation preferred, else the search's best
                    chosen[choice.arm] = choice
                chosen.setdefault(choice.arm, choice)
            all_files = {arm: label_files(path, choice.name, choice.trial) for arm, choice in chosen.items()}
            files = {arm: arm_files for arm, arm_files in all_files.items() if arm_files}
            if not any(chosen[arm].role == "arm" for arm in files):
                raise NothingCompleted(f"{path}: no arm has left labels yet; go on with the search, then ask again")
            names = _class_names(next(iter(files.values()))[0])
            tables = {arm: [_table(file, chosen[arm], names) for file in arm_files] for arm, arm_files in files.items()}
            other = _reference(reference, space, list(chosen.values()), names, models_of_reference, folder, log)
            result = build_semantics(name, space, chosen, tables, names, other)
            result.save(path)
            if (folder.spool / event_log.FILE).exists():
                session.start_tracking()
                session.finish(tags={"semantics": result.sentence}, artifacts=[result.file])
        from harness.report import report  # the figures' libraries take seconds to import

        report(path)
    return result


def _confirmed(path: Path) -> dict[str, str | None]:
    """The configuration of each arm that a confirmation preferred, by name."""
    confirmation = Confirmation.load_or_none(path)
    return {} if confirmation is None else {arm: results.best_name for arm, results in confirmation.arms.items()}


def _class_names(file: Path) -> list[str]:
    (names,) = read_label_arrays(file, "class_names")
    if len(names) < MIN_CLASSES:
        raise InputError(
            f"{file}: expected labels of {MIN_CLASSES} classes or more, got {len(names)}, which are one pair "
            "without an order to compare"
        )
    return [str(name) for name in names]


def _table(file: Path, configuration: "Configuration", class_names: Sequence[str]) -> np.ndarray:
    """The mean label of each class, in a run of a configuration."""
    parameters = configuration.config.parameters
    by_class = not isinstance(parameters, LabelParameters) or parameters.labels == "class"
    labels, classes = read_label_arrays(file, "labels", "given" if by_class else "truth")
    try:
        return class_table(labels, classes, class_names)
    except ValueError as error:
        raise InputError(f"{file}: {error}; search with more images, train_size or all of them") from error


def _reference(
    requested: str | None,
    space: Space,
    chosen: "list[Configuration]",
    class_names: Sequence[str],
    count: int,
    folder: SweepFolder,
    log: Callable[[str], None],
) -> Reference:
    one_hot = next((configuration for configuration in chosen if configuration.config.method == "one_hot"), chosen[0])
    kind, _, file = (requested or "").partition(":")
    if kind == "superclasses":
        return superclasses(Path(file), class_names)
    if kind != "model":
        reference = votes(one_hot.config)
        if reference is not None:
            return reference
        if kind == "votes":
            raise InputError(
                f"--reference votes: expected soft reference labels in {one_hot.config.dataset}, got none; name their "
                "key in reference_labels (npz), write reference.csv (folder), or choose --reference model"
            )
    epochs = max(configuration.config.epochs for configuration in chosen)
    return models(one_hot.config, epochs, count, space.search.seed, folder.path / "semantics", log)
