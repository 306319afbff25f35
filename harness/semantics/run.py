"""From a sweep's learned labels and a reference to `semantics.json`.

name, classes          the sweep; how many classes there are
reference              kind, how it was made, and its table [classes, classes]
arms.ARM               role, method, trial, runs (how many the table is the mean of), mass, table, most_alike
                       ([i, j, how much]), by_seed (rho of each run's own table)
arms.ARM.symmetric     rho, ci95, p_value, classes, pairs; None in place of numbers where the labels are flat
arms.ARM.directed      the same over ordered pairs; None where the reference has no direction
shown, sentence        whether p is at most 0.05 in the arm that the search puts first; the sentence about it
saw                    what the numbers are
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.frames.class_similarity import Likeness, class_table, likeness, most_alike
from harness.common.errors import HarnessError
from harness.common.json_files import write_json
from harness.semantics.references import (
    Reference,
    ReferenceLabelsError,
    check_reference,
    models,
    superclasses,
    votes,
)
from harness.session import RunOptions, open_session
from harness.space import Space, load
from harness.tracking.spool import event_log
from harness.tracking.tracking_uri import resolve_uri
from harness.tuning.storage.sweep_folder import SweepFolder, find_sweep, tracked_on
from harness.tuning.storage.workspace import SweepAccess, Workspace, open_workspace

if TYPE_CHECKING:
    from harness.confirm.configurations import Configuration

FILE = "semantics.json"
SHOWN_PAIRS = 5
ALPHA = 0.05

SAW = {
    "rho": "Spearman's over pairs of classes, of the mean table over the seeds; `symmetric`: of (Y + Yᵀ)/2, i < j",
    "p_value": "share of renamings of the classes, rows and columns together, that agree as well or better",
    "ci95": "over classes (jackknife); with few classes wide",
    "mass": "share of a label on other classes than its own, mean over classes",
    "by_seed": "rho of each seed's own table",
}


class NothingToRead(HarnessError):
    """No arm has left labels; says what to do."""


@dataclass(frozen=True)
class Semantics:
    """`findings` is the content of semantics.json."""

    findings: dict[str, Any]
    file: Path


def semantics(
    name: str,
    *,
    reference: str | None = None,
    models_of_reference: int = 3,
    runs_dir: Workspace | Path | str = "runs",
    say: Callable[[str], None] = lambda text: None,
) -> Semantics:
    """Hold the labels that a sweep learned against a reference.

    Args:
        name: the sweep, a folder in `runs_dir`.
        reference: votes, model or superclasses:FILE; votes where the data set brings them, else model, where left out.
        models_of_reference: how many models are trained for that.
        say: told of what takes long.

    Raises:
        FolderError: there is no such sweep, or another process is at it.
        SpaceError: its space file cannot be read.
        ReferenceLabelsError: there is no such reference.
        NothingToRead: no arm left labels.
        DataError: the data set cannot be read.
    """
    if reference is not None:
        check_reference(reference)
    with open_workspace(runs_dir, SweepAccess(name)) as workspace:
        path = find_sweep(workspace.local, name)
        space = load(path / "space.yaml")
        uri = resolve_uri(tracked_on(path), workspace.local)
        from harness.confirm.configurations import choose_configurations

        with open_session(workspace, name, space, uri, RunOptions()) as session:
            folder = session.folder
            records = session.study.trial_records()
            confirmed = _confirmed(folder)
            chosen: dict[str, Configuration] = {}
            for one in choose_configurations(space, records, len(records)):
                if one.name == confirmed.get(one.arm):  # the one that a confirmation preferred, else the search's best
                    chosen[one.arm] = one
                chosen.setdefault(one.arm, one)
            tables = {arm: list(_tables(folder, one)) for arm, one in chosen.items()}
            tables = {arm: each for arm, each in tables.items() if each}
            if not any(chosen[arm].role == "arm" for arm in tables):
                raise NothingToRead(f"{path}: no arm has left labels yet; go on with the search, then ask again")
            classes = len(next(iter(tables.values()))[0])
            other = _reference(reference, space, list(chosen.values()), classes, models_of_reference, folder, say)
            arms = {arm: _arm(chosen[arm], each, other, space.search.seed) for arm, each in tables.items()}
            found = {
                "name": name,
                "reference": {**other.facts, "table": other.table.tolist()},
                "classes": classes,
                "arms": arms,
                **_sentence(chosen, arms, other, space),
                "saw": SAW,
            }
            write_json(path / FILE, found)
            if (folder.spool / event_log.FILE).exists():
                session.start_tracking()
                session.finish(tags={"semantics": found["sentence"]}, artifacts=[path / FILE])
        from harness.report import report  # the figures' libraries take seconds to import

        report(path)
    return Semantics(found, path / FILE)


def _confirmed(folder: SweepFolder) -> dict[str, str]:
    """The configuration of each arm that a confirmation preferred, by name."""
    try:
        arms = json.loads(folder.findings.read_text())["arms"]
        return {arm: f"{arm}-{one['trial']}" for arm, one in arms.items() if one["trial"] is not None}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _tables(folder: SweepFolder, one: "Configuration") -> Iterator[np.ndarray]:
    """The table of each run of a configuration: on fresh seeds where it was confirmed, else of the search's trial."""
    files = sorted((folder.confirmation / one.name).glob("*/labels.npz")) or [folder.trial(one.trial) / "labels.npz"]
    by_class = one.config.method != "learned" or one.config.labels == "class"
    for file in files:
        if file.is_file():
            with np.load(file, allow_pickle=False) as held:
                labels, classes = held["labels"], held["given" if by_class else "truth"]
            yield class_table(labels, classes, labels.shape[1])


def _reference(
    asked: str | None,
    space: Space,
    chosen: "list[Configuration]",
    classes: int,
    count: int,
    folder: SweepFolder,
    say: Callable[[str], None],
) -> Reference:
    one_hot = next((one for one in chosen if one.config.method == "one_hot"), chosen[0])
    kind, _, place = (asked or "").partition(":")
    if kind == "superclasses":
        return superclasses(Path(place), classes)
    if kind != "model":
        found = votes(one_hot.config)
        if found is not None:
            return found
        if kind == "votes":
            raise ReferenceLabelsError(
                f"--reference votes: expected soft reference labels in {one_hot.config.dataset}, got none; name their "
                "key in reference_labels (npz), write reference.csv (folder), or choose --reference model"
            )
    epochs = max(one.config.epochs for one in chosen)
    return models(one_hot.config, epochs, count, space.search.seed, folder.path / "semantics", say)


def _arm(one: "Configuration", tables: list[np.ndarray], reference: Reference, seed: int) -> dict[str, Any]:
    mean = np.mean(tables, axis=0)
    found = likeness(mean, reference.table, seed)
    each = (
        [_number(likeness(table, reference.table, seed).symmetric.rho) for table in tables] if len(tables) > 1 else []
    )
    return {
        "role": one.role,
        "method": one.config.method,
        "trial": one.trial,
        "runs": len(tables),
        "mass": found.mass,
        **_agreements(found),
        "by_seed": each,
        "most_alike": [list(pair) for pair in most_alike(mean, SHOWN_PAIRS)],
        "table": mean.tolist(),
    }


def _agreements(found: Likeness) -> dict[str, Any]:
    def written(agreement: Any) -> dict[str, Any] | None:
        if agreement is None:
            return None
        numbers = asdict(agreement)
        ends = [_number(numbers.pop(end)) for end in ("low", "high")]
        return {**numbers, "rho": _number(agreement.rho), "p_value": _number(agreement.p_value), "ci95": ends}

    return {"symmetric": written(found.symmetric), "directed": written(found.directed)}


def signed(value: float) -> str:
    """To two digits, with no minus before a zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def _number(value: float) -> float | None:
    """As JSON has it, which knows no NaN: a flat table orders nothing."""
    return None if math.isnan(value) else value


def _sentence(
    chosen: "dict[str, Configuration]", arms: dict[str, Any], reference: Reference, space: Space
) -> dict[str, Any]:
    """About the arm that the search's objective puts first, whatever the reference says."""
    sign = 1 if space.objective.direction == "maximize" else -1
    ours = [arm for arm in arms if chosen[arm].role == "arm"]
    arm = max(ours, key=lambda each: sign * chosen[each].value)
    one, name = arms[arm]["symmetric"], chosen[arm].name
    who = "learned labels" if chosen[arm].config.method == "learned" else arm
    if one["rho"] is None:
        return {"shown": False, "sentence": f"the labels of {name} take all classes to be equally alike"}
    low, high = one["ci95"]
    runs = f"{arms[arm]['runs']} run{'s' if arms[arm]['runs'] > 1 else ''}"
    numbers = (
        f"rank correlation {signed(one['rho'])} [{signed(low)}, {signed(high)}] over {one['pairs']} pairs of "
        f"{one['classes']} classes, p = {one['p_value']:.2g}, {runs}"
    )
    shown = one["p_value"] <= ALPHA
    said = f"{who} ({name}) take the same classes to be alike as {reference.words}"
    return {"shown": shown, "sentence": f"{'' if shown else 'not shown that '}{said}: {numbers}"}
