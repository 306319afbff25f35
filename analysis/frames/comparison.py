"""Several sweeps side by side: what their arms came to, what differs between them, and whether they compare at all.

Two accuracies may be set against each other where the same validation images decided them and the same labels were
learned from. Which images those are follows from a few settings of the runs (`ON`); where one differs, the difference
between two accuracies has the data in it as well as the method, and no interval tells how much of either.

    no     other data, other parts of it, or other noise
    care   other code, libraries, objective or budget: a difference may come from there
    yes    only what was asked differs

Everything is read from MLflow: the trials, and the files space.yaml, provenance.json and confirm.json of each sweep.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

import pandas as pd

from analysis.frames import sweep_frame as studies
from analysis.frames.sweep_frame import VALUE, SweepFrame, Z, interval
from harness.results import Confirmation
from harness.results.provenance import Provenance
from harness.results.result_file import ResultFile
from harness.space import Space, SpaceError, difference, load
from harness.tracking.mlflow_view.mlflow_reader import MlflowSweep
from harness.tracking.tracking_uri import TrackingError

ON = {
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
"""The settings that an accuracy rests on, and what it means that one differs."""

LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "optuna")
"""Those that decide a number."""

Result = TypeVar("Result", bound=ResultFile)

Comparable = Literal["yes", "care", "no"]

ROW = [
    *("arm", "sweep", "role", "trials", "complete", "pruned", "failed"),
    *("val_accuracy", "val_low", "val_high", "val_images", "label_accuracy", "noisy_labels_corrected"),
    *("test_accuracy", "test_low", "test_high", "test_seeds", "parameters"),
]


@dataclass(frozen=True)
class Side:
    """One sweep of a comparison. `space` is None where its file is missing or of another version."""

    label: str
    study: SweepFrame
    tracked: MlflowSweep
    space: Space | None
    provenance: Provenance | None
    confirmed: Confirmation | None

    @property
    def several(self) -> str:
        """What the sweep searched for beside its first objective; empty where nothing."""
        return ", ".join(str(objective) for objective in self.space.objectives[1:]) if self.space else ""

    @property
    def commit(self) -> str | None:
        """The code it ran; None where unknown."""
        return (self.provenance.git.commit if self.provenance else None) or self.tracked.tags.get("commit")

    @property
    def dirty(self) -> bool:
        """Whether the code had changes that no commit holds."""
        return self.provenance.git.dirty is True if self.provenance else self.tracked.tags.get("dirty") == "True"

    def values(self, setting: str) -> tuple[str, ...]:
        """Every value that a setting had in the trials, as text; none where it was not recorded."""
        column = f"params.{setting}"
        if column not in self.study.trials:
            return ()
        return tuple(sorted({f"{value:g}" if isinstance(value, float) else str(value) for value in self._of(column)}))

    def _of(self, column: str) -> Iterator[Any]:
        yield from self.study.trials[column].dropna().unique()


@dataclass(frozen=True)
class Relation:
    """How one sweep stands to the first. `reasons` say why not, or what to mind; `changes` what was asked otherwise."""

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


def read(sweeps: Sequence[MlflowSweep]) -> list[Side]:
    """Each sweep with its files, under a label of its own."""
    names = [sweep.name for sweep in sweeps]
    return [
        _side(sweep, sweep.name if names.count(sweep.name) == 1 else f"{sweep.name} ({sweep.run_id[:8]})")
        for sweep in sweeps
    ]


def _side(sweep: MlflowSweep, label: str) -> Side:
    with TemporaryDirectory() as folder:
        into = Path(folder)
        confirmed = _load(Confirmation, sweep, into) if "verdict" in sweep.tags else None
        return Side(
            label=label,
            study=studies.read(sweep, curves=()),
            tracked=sweep,
            space=_space(sweep, into),
            provenance=_load(Provenance, sweep, into),
            confirmed=confirmed,
        )


def _load(kind: type[Result], sweep: MlflowSweep, into: Path) -> Result | None:
    """A result that the sweep has as a file; None where it is missing or cannot be read."""
    try:
        return kind.load_or_none(sweep.artifact(kind.FILE, into))
    except TrackingError:
        return None


def _space(sweep: MlflowSweep, into: Path) -> Space | None:
    try:
        return load(sweep.artifact("space.yaml", into))
    except (TrackingError, SpaceError, OSError):
        return None


def table(sides: Sequence[Side]) -> pd.DataFrame:
    """One row an arm of a sweep, arms of one name together: what is studied, then baselines, the best of the first
    sweep first. Columns: `ROW`.

    `val_low`, `val_high`: 95 % over the draw of the validation images. `test_*`: of the sweep's confirmation, 95 % over
    its seeds; NaN where it has none. Accuracies and intervals are fractions.
    """
    rows = [row for side in sides for row in _rows(side)]
    frame = pd.DataFrame(rows, columns=ROW)
    first = [*frame.loc[frame["role"] == "arm", "arm"], *frame["arm"]]
    order = {arm: place for place, arm in enumerate(dict.fromkeys(first))}
    return frame.sort_values("arm", key=lambda arms: arms.map(order), kind="stable", ignore_index=True)


def _rows(side: Side) -> Iterator[dict[str, Any]]:
    learned = side.study.learned
    for _, summed in studies.summary(side.study).iterrows():
        arm = str(summed["arm"])
        best = side.study.best(arm)
        row: dict[str, Any] = {**summed, "sweep": side.label, "role": _role(side, arm, arm in learned)}
        if len(best):
            images = side.study.images(best.iloc[0])
            row["val_low"], row["val_high"] = interval(float(best.iloc[0][VALUE]), images)
            row["val_images"] = images
            row["noisy_labels_corrected"] = best.iloc[0].get("metrics.noisy_labels_corrected", math.nan)
        confirmed = side.confirmed.arms.get(arm) if side.confirmed else None
        results = confirmed.best if confirmed else None
        if results and results.n:
            low, high = (results.ci95.ends if results.ci95 else None) or (math.nan, math.nan)
            row |= {"test_accuracy": results.test_accuracy_mean, "test_seeds": results.n}
            row |= {"test_low": low, "test_high": high}
        yield row


def _role(side: Side, arm: str, learned: bool) -> str:
    known = {each.name: each.role for each in side.space.arms} if side.space else {}
    return known.get(arm, "arm" if learned else "baseline")


def relations(sides: Sequence[Side]) -> list[Relation]:
    """How each of the others stands to the first."""
    return [relate(sides[0], side) for side in sides[1:]]


def relate(first: Side, other: Side) -> Relation:
    barriers = list(_barriers(first, other))
    cares = list(_cares(first, other))
    comparable: Comparable = "no" if barriers else "care" if cares else "yes"
    changes = _together(difference(first.space, other.space)) if first.space and other.space else []
    gap = "" if barriers else _gap(first, other)
    return Relation(other.label, first.label, comparable, [*barriers, *cares], changes, gap)


def _together(changes: Sequence[str]) -> list[str]:
    """One line for a change that several arms share."""
    arms: dict[str, list[str]] = {}
    for change in changes:
        path, _, values = change.partition(": ")
        kind, _, below = path.partition(".")
        arm, _, setting = below.partition(".")
        in_arm = kind in ("arms", "baselines") and setting
        arms.setdefault(f"{setting}: {values}" if in_arm else change, []).extend([arm] if in_arm else [])
    return [f"{change} ({', '.join(names)})" if names else change for change, names in arms.items()]


def _barriers(first: Side, other: Side) -> Iterator[str]:
    if first.study.trials.empty or other.study.trials.empty:
        yield f"{(first if first.study.trials.empty else other).label} has no trials"
        return
    for setting, meaning in ON.items():
        one, two = first.values(setting), other.values(setting)
        if one != two:
            yield f"{meaning} ({setting} {_all(one)} → {_all(two)})"


def _all(values: Sequence[str]) -> str:
    return " and ".join(value or "none" for value in values) or "not recorded"


def _cares(first: Side, other: Side) -> Iterator[str]:
    if first.space is None or other.space is None:
        lacking = " and ".join(side.label for side in (first, other) if side.space is None)
        yield f"what was asked of {lacking} is not known, no space.yaml that can be read"
    elif first.space.objectives != other.space.objectives:
        one, two = (" and ".join(map(str, side.objectives)) for side in (first.space, other.space))
        yield f"other objective ({one} → {two})"
    if first.commit != other.commit:
        yield f"other code ({(first.commit or 'unknown')[:10]} → {(other.commit or 'unknown')[:10]})"
    changed = [side.label for side in (first, other) if side.dirty]
    if changed:
        yield f"code with changes that no commit holds ({' and '.join(changed)})"
    before, after = (side.provenance.versions if side.provenance else {} for side in (first, other))
    others = [name for name in LIBRARIES if before.get(name) != after.get(name)]
    if others:
        moves = ", ".join(f"{name} {before.get(name, 'unknown')} → {after.get(name, 'unknown')}" for name in others)
        yield f"other libraries ({moves})"
    if _machine(first) != _machine(other):
        yield f"other hardware ({_machine(first)} → {_machine(other)})"
    counts = [side.study.trials["arm"].value_counts().to_dict() for side in (first, other)]
    shared = [arm for arm in counts[0] if arm in counts[1] and counts[0][arm] != counts[1][arm]]
    if shared:
        spent = ", ".join(f"{arm} {counts[0][arm]} → {counts[1][arm]} trials" for arm in shared)
        yield f"other budget ({spent}): the best of more trials is better by luck alone"
    for side in (first, other):
        if side.tracked.state != "complete":
            yield f"{side.label} is {side.tracked.state}, not complete"


def _machine(side: Side) -> str:
    return str(side.provenance.hardware) if side.provenance else "unknown"


def _gap(first: Side, other: Side) -> str:
    """The best of the one against the best of the other, beside what chance alone does."""
    bests = [_winner(side) for side in (first, other)]
    if any(best is None for best in bests):
        return ""
    (name, base, images), (other_name, value, others) = (best for best in bests if best is not None)
    points = 100 * (value - base)
    reach = 100 * Z * math.sqrt(base * (1 - base) / images + value * (1 - value) / others)
    words = "level with" if abs(points) < 0.05 else f"{abs(points):.1f} points {'above' if points > 0 else 'below'}"
    return (
        f"the best of {other.label} ({other_name}) is {words} the best of {first.label} ({name}); "
        f"chance alone moves such a difference by up to {reach:.1f} points"
    )


def _winner(side: Side) -> tuple[str, float, int] | None:
    rows = [side.study.best(arm) for arm in (*side.study.learned, *side.study.baselines)]
    tops = [row.iloc[0] for row in rows if len(row)]
    if not tops:
        return None
    top = max(tops, key=lambda row: float(row[VALUE]))
    return str(top["name"]), float(top[VALUE]), side.study.images(top)
