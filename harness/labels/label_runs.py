"""Labels that runs of a sweep left in `labels.npz`: which configuration's are read, and their mean over its seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from harness.common.errors import InputError, NothingCompleted
from harness.common.formatting import format_list
from harness.results import Confirmation, SweepSummary
from harness.tuning.storage.sweep_folder import LABELS


@dataclass(frozen=True)
class LabelRuns:
    """The runs of one configuration that left labels: those on fresh seeds where it was confirmed, else the trial's.

    `seeds` are those of the confirmation, in the order of `files`; empty for a trial of the search.
    """

    name: str
    trial: int
    files: Sequence[Path]
    seeds: Sequence[int] = ()


@dataclass(frozen=True)
class MeanLabels:
    """Soft labels of N images in the order of their `index` in the data set, each the mean over the runs it was in.

    Attributes:
        given, truth: [N], the class that the image was labelled with, and the true one; -1: not known.
        labels: [N, classes], rows of sum 1.
        runs: [N], number of runs that were trained on the image.
        total_runs: number of runs that were read.
        redrawn: whether other runs have other given labels, so that one run alone was read.
    """

    class_names: tuple[str, ...]
    index: NDArray[np.int64]
    given: NDArray[np.int64]
    truth: NDArray[np.int64]
    labels: NDArray[np.float64]
    runs: NDArray[np.int64]
    total_runs: int
    redrawn: bool

    def subset(self, chosen: NDArray[np.bool_]) -> "MeanLabels":
        """The labels of some of the images."""
        columns = ("index", "given", "truth", "labels", "runs")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})


def label_files(sweep: Path, name: str, trial: int) -> list[Path]:
    """The labels of each run of a configuration: on fresh seeds where it was confirmed, else of the search's trial."""
    confirmed = sorted((sweep / "confirm" / name).glob(f"*/{LABELS}"))
    return [file for file in confirmed or [sweep / "trials" / str(trial) / LABELS] if file.is_file()]


def read_label_arrays(file: Path, *names: str) -> list[NDArray[Any]]:
    """Arrays of a labels.npz; InputError if it cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as held:
            return [held[name] for name in names]
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise InputError(f"{file}: expected the labels of a run, got the error: {error}; run it again") from error


def find_label_runs(sweep: Path, arm: str | None = None, trial: int | None = None) -> LabelRuns:
    """The runs of the trial `trial` of the search; else of the best configuration of `arm`, or of all arms.

    The best one is that with the highest mean on the validation images of the confirmation's seeds; without a
    confirmation, the best of the search. Of several arms the first whose labels differ between the images of a class
    counts.

    Raises:
        NothingCompleted: there is none, or its runs left no labels.
        InputError: there is no such arm or trial, or its labels say nothing of single images.
    """
    refused: InputError | NothingCompleted | None = None
    for name, number in _candidates(sweep, arm, trial):
        files = label_files(sweep, name, number)
        if not files:
            refused = refused or NothingCompleted(
                f"{sweep}: expected {LABELS} of {name}, got none; run the trial again"
            )
        elif _differ_within_classes(files[0]):
            seeds = [int(file.parent.name) for file in files if file.parent.parent.name == name]
            return LabelRuns(name, number, files, seeds)
        else:
            refused = refused or InputError(
                f"{sweep}: expected labels that differ between the images of a class, got those of {name}, which are "
                "one for each class; choose an arm of learned instance labels, or one like elr, with --arm or --trial"
            )
    raise refused or NothingCompleted(f"{sweep}: no arm has a complete trial yet; go on with the search")


def mean_labels(files: Sequence[Path]) -> MeanLabels:
    """The mean of the labels of several runs, image by image.

    If the given labels differ between runs, each seed drew its own noise: then only the first run is read.
    """
    names = ("index", "given", "truth", "labels", "class_names")
    runs = [read_label_arrays(file, *names) for file in files]
    redrawn = not _agree(runs)
    runs = runs[:1] if redrawn else runs
    index = np.unique(np.concatenate([run[0] for run in runs]))
    classes = runs[0][3].shape[1]
    given, truth, counts = (np.zeros(len(index), np.int64) for _ in range(3))
    sums = np.zeros((len(index), classes))
    for run_index, run_given, run_truth, run_labels, _ in runs:
        rows = np.searchsorted(index, run_index)
        given[rows], truth[rows] = run_given, run_truth
        sums[rows] += run_labels
        counts[rows] += 1
    labels = sums / counts[:, None]
    class_names = tuple(str(name) for name in runs[0][4])
    return MeanLabels(class_names, index, given, truth, labels, counts, len(runs), redrawn)


def _agree(runs: Sequence[Sequence[NDArray[Any]]]) -> bool:
    """Whether every image has the same given label in all runs."""
    seen = np.full(1 + max(int(run[0].max()) for run in runs), -1)
    for index, given, *_ in runs:
        before = seen[index]
        if ((before >= 0) & (before != given)).any():
            return False
        seen[index] = given
    return True


def _candidates(sweep: Path, arm: str | None, trial: int | None) -> Iterator[tuple[str, int]]:
    """(name, number) of the trials whose labels may be read, the best first."""
    summary, confirmation = SweepSummary.load_or_none(sweep), Confirmation.load_or_none(sweep)
    if trial is not None:
        yield _trial_name(sweep, trial), trial
        return
    results = confirmation or summary
    roles = {name: results_of_arm.role for name, results_of_arm in results.arms.items()} if results else {}
    if arm is not None and arm not in roles:
        raise InputError(f"--arm: expected one of {format_list(roles)}, got '{arm}'; choose one")
    wanted = [name for name, role in roles.items() if (role == "arm" if arm is None else name == arm)]
    if confirmation is not None:
        yield from (
            (name, result.trial) for arm_name, name, result in confirmation.ranked() if arm_name in wanted and result.n
        )
    elif summary is not None:
        best = summary.best.arm if summary.best else None
        candidates = [(name, summary.arms[name]) for name in wanted]
        candidates.sort(key=lambda item: (item[0] != best, -(item[1].val_accuracy or 0.0)))
        yield from ((f"{name}-{result.trial}", result.trial) for name, result in candidates if result.trial is not None)


def _trial_name(sweep: Path, trial: int) -> str:
    """`learned-17`, the name of a trial of the search."""
    from harness.tracking.spool.spooled_sweep import SpooledSweep  # pandas takes half a second to import

    trials = SpooledSweep.read(sweep).trials()
    names = dict(zip(trials["trial"], trials["name"], strict=True))
    if trial not in names:
        choices = f"0 to {max(names)}" if names else "none"
        raise InputError(f"--trial: expected a trial of {sweep} ({choices}), got {trial}; choose one")
    return str(names[trial])


def _differ_within_classes(file: Path) -> bool:
    """Whether labels differ between images of the same given class."""
    labels, given = read_label_arrays(file, "labels", "given")
    _, first, inverse = np.unique(given, return_index=True, return_inverse=True)
    return bool((labels != labels[first][inverse]).any())
