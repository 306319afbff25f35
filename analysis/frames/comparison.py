"""Several sweeps side by side: the results of their arms, what differs between them, and whether they are comparable.

Two accuracies are comparable if they were measured on the same validation images after training on the same labels.
`DATA_SETTINGS` determine both; if one differs, the difference between two accuracies is due to data and method, and no
interval separates the two.

    no     other data, other parts of it, or other noise
    care   other code, libraries, objective or budget: a difference may come from there
    yes    only the searched or fixed settings differ

Everything is read from MLflow: the trials, and the files space.yaml, provenance.json and confirm.json of each sweep.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import pandas as pd

from analysis.frames import sweep_frame
from analysis.frames.sweep_frame import VALUE, SweepFrame, Z, interval
from harness.common.errors import HarnessError
from harness.results import Confirmation
from harness.results.provenance import Provenance
from harness.space import Space, difference, load
from harness.tracking.tracked_sweep import TrackedSweep

DATA_SETTINGS = {
    "dataset": "other data",
    "image_size": "images of another size",
    "train_size": "another number of training images",
    "meta_size": "other images in every part",  # the meta set is cut off first
    "val_size": "other validation images",
    "seed": "other validation images, other noise",
    "noise": "other noise",
    "noise_rate": "other noise",
    "noise_map": "other noise",
    "given_labels": "other labels",
}
"""Settings that decide the data and labels behind an accuracy → what a difference in one means."""

LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "optuna")
"""Packages that decide a number."""

Loaded = TypeVar("Loaded")

Comparable = Literal["yes", "care", "no"]

ROW = [
    *("arm", "sweep", "role", "trials", "complete", "pruned", "failed"),
    *("val_accuracy", "val_low", "val_high", "val_images", "label_accuracy", "noisy_labels_corrected"),
    *("test_accuracy", "test_low", "test_high", "test_seeds", "parameters"),
]


@dataclass(frozen=True)
class ComparedSweep:
    """One sweep of a comparison. `space` is None where its file is missing or of another version."""

    label: str
    frame: SweepFrame
    space: Space | None
    provenance: Provenance | None
    confirmation: Confirmation | None

    @property
    def source(self) -> TrackedSweep:
        return self.frame.sweep

    @property
    def verdict(self) -> str | None:
        """The sentence of its confirmation."""
        return self.source.tags.get("verdict")

    @property
    def other_objectives(self) -> str:
        """What the sweep searched for beside its first objective; empty where nothing."""
        return ", ".join(str(objective) for objective in self.space.objectives[1:]) if self.space else ""

    @property
    def commit(self) -> str | None:
        """The code it ran; None where unknown."""
        return (self.provenance.git.commit if self.provenance else None) or self.source.tags.get("commit")

    @property
    def dirty(self) -> bool:
        """Whether the code had changes that no commit holds."""
        return self.provenance.git.dirty is True if self.provenance else self.source.tags.get("dirty") == "True"

    @property
    def code(self) -> str:
        return f"{self.commit[:10]}{' with changes' if self.dirty else ''}" if self.commit else "unknown"

    @property
    def hardware(self) -> str:
        return str(self.provenance.hardware) if self.provenance else "unknown"

    def best(self) -> "pd.Series[Any] | None":
        """The best trial of all arms."""
        arms = (*self.frame.learned, *self.frame.baselines)
        rows = [row for arm in arms for _, row in self.frame.best(arm).iterrows()]
        return max(rows, key=lambda row: float(row[VALUE]), default=None)

    def values(self, setting: str) -> str:
        """Every value that a setting had in the trials, as text."""
        column = f"params.{setting}"
        values = self.frame.trials[column].dropna().unique() if column in self.frame.trials else []
        texts = {f"{value:g}" if isinstance(value, float) else str(value) for value in values}
        return " and ".join(text or "none" for text in sorted(texts)) or "not recorded"


@dataclass(frozen=True)
class Relation:
    """Whether one sweep compares with the first: `reasons` why not or only with care, and the settings that changed."""

    label: str
    to: str
    comparable: Comparable
    reasons: list[str]
    changes: list[str]
    gap: str

    @property
    def sentence(self) -> str:
        words = {"yes": "comparable", "care": "comparable with care", "no": "not comparable"}[self.comparable]
        return f"{self.label} and {self.to} are {words}"


def read(sweeps: Sequence[TrackedSweep]) -> list[ComparedSweep]:
    """Each sweep with its files, under a label of its own."""
    names = [sweep.name for sweep in sweeps]
    compared = []
    for sweep in sweeps:
        label = sweep.name if names.count(sweep.name) == 1 else f"{sweep.name} ({sweep.run_id[:8]})"
        with TemporaryDirectory() as folder:
            space = _load(sweep, "space.yaml", load, Path(folder))
            provenance = _load(sweep, Provenance.FILE, Provenance.load, Path(folder))
            confirmed = "verdict" in sweep.tags
            confirmation = _load(sweep, Confirmation.FILE, Confirmation.load, Path(folder)) if confirmed else None
        compared.append(ComparedSweep(label, sweep_frame.read(sweep, curves=()), space, provenance, confirmation))
    return compared


def _load(sweep: TrackedSweep, file: str, load_file: Callable[[Path], Loaded], folder: Path) -> Loaded | None:
    """What a file of the sweep holds; None where it is missing or cannot be read."""
    try:
        return load_file(sweep.artifact(file, folder))
    except (HarnessError, OSError):
        return None


def table(sweeps: Sequence[ComparedSweep]) -> pd.DataFrame:
    """One row an arm of a sweep, arms of one name together: what is studied, then baselines, the best of the first
    sweep first. Columns: `ROW`.

    `val_low`, `val_high`: 95 % over the draw of the validation images. `test_*`: of the sweep's confirmation, 95 % over
    its seeds; NaN where it has none. Accuracies and intervals are fractions.
    """
    rows = [row for sweep in sweeps for row in _rows(sweep)]
    frame = pd.DataFrame(rows, columns=ROW)
    first = [*frame.loc[frame["role"] == "arm", "arm"], *frame["arm"]]
    order = {arm: place for place, arm in enumerate(dict.fromkeys(first))}
    return frame.sort_values("arm", key=lambda arms: arms.map(order), kind="stable", ignore_index=True)


def _rows(sweep: ComparedSweep) -> Iterator[dict[str, Any]]:
    roles = {arm.name: arm.role for arm in sweep.space.arms} if sweep.space else {}
    for _, summed in sweep_frame.summary(sweep.frame).iterrows():
        arm = str(summed["arm"])
        role = "arm" if arm in sweep.frame.learned else "baseline"
        row: dict[str, Any] = {**summed, "sweep": sweep.label, "role": roles.get(arm, role)}
        for _, best in sweep.frame.best(arm).iterrows():
            row["val_images"] = sweep.frame.images(best)
            row["val_low"], row["val_high"] = interval(float(best[VALUE]), row["val_images"])
            row["noisy_labels_corrected"] = best.get("metrics.noisy_labels_corrected", math.nan)
        confirmed = sweep.confirmation.arms.get(arm) if sweep.confirmation else None
        results = confirmed.best if confirmed else None
        if results and results.n:
            low, high = (results.ci95.ends if results.ci95 else None) or (math.nan, math.nan)
            row |= {"test_accuracy": results.test_accuracy_mean, "test_seeds": results.n}
            row |= {"test_low": low, "test_high": high}
        yield row


def parameters_text(row: Any) -> str:
    """The parameters of the best trial in a row of `table`."""
    return row["parameters"] or "nothing varied" if isinstance(row["parameters"], str) else "no trial completed"


def relations(sweeps: Sequence[ComparedSweep]) -> list[Relation]:
    """How each of the others stands to the first."""
    return [relate(sweeps[0], sweep) for sweep in sweeps[1:]]


def relate(first: ComparedSweep, other: ComparedSweep) -> Relation:
    barriers = list(_barriers(first, other))
    cautions = list(_cautions(first, other))
    comparable: Comparable = "no" if barriers else "care" if cautions else "yes"
    changes = _merge_arms(difference(first.space, other.space)) if first.space and other.space else []
    gap = "" if barriers else _gap(first, other)
    return Relation(other.label, first.label, comparable, [*barriers, *cautions], changes, gap)


def _merge_arms(changes: Sequence[str]) -> list[str]:
    """One line for a change that several arms share."""
    arms: dict[str, list[str]] = {}
    for change in changes:
        path, _, values = change.partition(": ")
        kind, _, below = path.partition(".")
        arm, _, setting = below.partition(".")
        in_arm = kind in ("arms", "baselines") and setting
        arms.setdefault(f"{setting}: {values}" if in_arm else change, []).extend([arm] if in_arm else [])
    return [f"{change} ({', '.join(names)})" if names else change for change, names in arms.items()]


def _barriers(first: ComparedSweep, other: ComparedSweep) -> Iterator[str]:
    """Why two accuracies cannot be set against each other."""
    empty = [sweep.label for sweep in (first, other) if sweep.frame.trials.empty]
    if empty:
        yield f"{empty[0]} has no trials"
        return
    for setting, meaning in DATA_SETTINGS.items():
        before, after = first.values(setting), other.values(setting)
        if before != after:
            yield f"{meaning} ({setting} {before} → {after})"


def _cautions(first: ComparedSweep, other: ComparedSweep) -> Iterator[str]:
    """Other possible causes of a difference."""
    both = (first, other)
    if first.space is None or other.space is None:
        lacking = " and ".join(sweep.label for sweep in both if sweep.space is None)
        yield f"what was asked of {lacking} is not known, no space.yaml that can be read"
    elif first.space.objectives != other.space.objectives:
        before, after = (" and ".join(map(str, space.objectives)) for space in (first.space, other.space))
        yield f"other objective ({before} → {after})"
    if first.commit != other.commit:
        yield f"other code ({(first.commit or 'unknown')[:10]} → {(other.commit or 'unknown')[:10]})"
    changed = [sweep.label for sweep in both if sweep.dirty]
    if changed:
        yield f"code with changes that no commit holds ({' and '.join(changed)})"
    old, new = (sweep.provenance.versions if sweep.provenance else {} for sweep in both)
    moves = [
        f"{name} {old.get(name, 'unknown')} → {new.get(name, 'unknown')}"
        for name in LIBRARIES
        if old.get(name) != new.get(name)
    ]
    if moves:
        yield f"other libraries ({', '.join(moves)})"
    if first.hardware != other.hardware:
        yield f"other hardware ({first.hardware} → {other.hardware})"
    ours, theirs = (sweep.frame.trials["arm"].value_counts() for sweep in both)
    spent = [f"{arm} {count} → {theirs[arm]} trials" for arm, count in ours.items() if theirs.get(arm, count) != count]
    if spent:
        yield f"other budget ({', '.join(spent)}): the best of more trials is better by luck alone"
    for sweep in both:
        if sweep.source.state != "complete":
            yield f"{sweep.label} is {sweep.source.state}, not complete"


def _gap(first: ComparedSweep, other: ComparedSweep) -> str:
    """The best of the one against the best of the other, beside what chance alone does."""
    before, after = first.best(), other.best()
    if before is None or after is None:
        return ""
    p, q = float(before[VALUE]), float(after[VALUE])
    points = 100 * (q - p)
    reach = 100 * Z * math.sqrt(p * (1 - p) / first.frame.images(before) + q * (1 - q) / other.frame.images(after))
    words = "level with" if abs(points) < 0.05 else f"{abs(points):.1f} points {'above' if points > 0 else 'below'}"
    return (
        f"the best of {other.label} ({after['name']}) is {words} the best of {first.label} ({before['name']}); "
        f"chance alone moves such a difference by up to {reach:.1f} points"
    )
