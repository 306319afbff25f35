"""Labels that a learned trial left: where they ended, and their history over the epochs, read from its artifacts.

    labels.npz          labels [N, C], given [N], truth [N] (-1: not known), class_names [C]
    label_history.npz   epochs [S], rows [n] (which of the N are followed), largest [S, n] (the class with the largest
                        entry), moved [S, n] (total variation from the start); shown [K] (places among the N of the
                        images whose label moved most), pixels [K, …]; for class labels class_labels [S, C, C]

A trial on a server that keeps no files lacks both. In place of missing labels, functions return a sentence that says
so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.frames.sweep_frame import VALUE, SweepFrame
from harness.tracking.tracking_uri import TrackingError

FRESH = 10  # runs of a confirmation that are read, at most
UNREADABLE = (TrackingError, OSError, ValueError, EOFError, BadZipFile)
NO_TRIAL = "no learned trial ran to its end"
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Labels:
    """Where the labels [N, C] of the run `name` ended, beside those it was `given` [N] and the `truth` [N].

    `history` holds the arrays of label_history.npz; None where it was not kept.
    """

    name: str
    labels: NDArray[np.float64]
    given: NDArray[np.int64]
    truth: NDArray[np.int64]
    class_names: tuple[str, ...]
    history: Arrays | None = None

    @property
    def classes(self) -> int:
        return int(self.labels.shape[1])

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = self.truth >= 0
        return known

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Which labels are known to be wrong."""
        wrong: NDArray[np.bool_] = self.known & (self.given != self.truth)
        return wrong

    @cached_property
    def suspicion(self) -> NDArray[np.float64]:
        """How much of each label [N] has left the class it was given."""
        return 1 - self.labels[np.arange(len(self.given)), self.given]

    def followed(self) -> Arrays | None:
        """The history of single labels, where it was kept."""
        history = self.history
        return history if history is not None and {"largest", "rows"} <= history.keys() else None


def best_labels(study: SweepFrame, kind: str = "") -> Labels | str:
    """The labels of the best complete learned trial, of those with `kind` labels where it says so; else why not."""
    rows = [study.best(arm) for arm in study.learned]
    chosen = [row.iloc[0] for row in rows if len(row) and (not kind or row.iloc[0].get("params.labels") == kind)]
    if not chosen:
        return f"{NO_TRIAL} with {kind} labels" if kind else NO_TRIAL
    return labels_of_trial(study, max(chosen, key=lambda row: float(row[VALUE])))


def labels_of_trial(study: SweepFrame, trial: "pd.Series[Any]") -> Labels | str:
    """The labels of one run, a row of the study's trials; else why not."""
    with TemporaryDirectory() as folder:
        into = Path(folder)
        try:
            arrays = _arrays(study, "labels.npz", str(trial["run_id"]), into)
            labels, given, truth, names = (arrays[name] for name in ("labels", "given", "truth", "class_names"))
        except (*UNREADABLE, KeyError):
            return f"{trial['name']} left no labels.npz that can be read"
        try:
            history = _arrays(study, "label_history.npz", str(trial["run_id"]), into)
        except UNREADABLE:
            history = None
    name, class_names = str(trial["name"]), tuple(names.tolist())
    return Labels(name, labels.astype(np.float64), given.astype(int), truth.astype(int), class_names, history)


def fresh_seed_labels(study: SweepFrame, labels: Labels | str) -> list[Labels]:
    """The labels of the runs in which a confirmation trained the same trial anew, each on a seed of its own."""
    runs = study.sweep.trials("confirmation")
    if isinstance(labels, str) or runs.empty:
        return []
    chosen = runs[(runs["state"] == "complete") & runs["name"].str.startswith(f"{labels.name} seed ")]
    snapshots = [labels_of_trial(study, row) for _, row in chosen.head(FRESH).iterrows()]
    return [snapshot for snapshot in snapshots if isinstance(snapshot, Labels)]


def headline(labels: Labels | str, others: Sequence[Labels]) -> str:
    """Whose labels are shown."""
    if isinstance(labels, str):
        return labels
    seeds = f", and {len(others)} fresh seeds of its configuration" if others else ", not confirmed on fresh seeds"
    return f"{labels.name}: {len(labels.given)} labels of {labels.classes} classes{seeds}"


def _arrays(study: SweepFrame, name: str, run_id: str, into: Path) -> Arrays:
    with np.load(study.sweep.artifact(name, into, run_id), allow_pickle=False) as file:
        return dict(file)
