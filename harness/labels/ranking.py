"""The ranking of labels by their margin, the corrections that it proposes, and its precision and recall."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.common.formatting import format_accuracy, format_interval, format_percent
from harness.labels.label_runs import LabelRuns, MeanLabels

if TYPE_CHECKING:
    import pandas as pd

CUT = "another class has more of the label's mass than the given one; this cut is not tuned"


@dataclasses.dataclass(frozen=True)
class Detection:
    """How well wrong labels are found, among `known` labels whose true class is known; all but counts are fractions.

    Intervals are Wilson's 95 % intervals, over the draw of the images.
    """

    known: int
    wrong: int
    proposed: int
    precision: float | None
    precision_ci95: tuple[float, float] | None
    recall: float
    recall_ci95: tuple[float, float]
    average_precision: float

    @property
    def sentence(self) -> str:
        base = format_accuracy(self.wrong / self.known)
        share = (
            f"{format_percent(self.precision)} of them are wrong (precision {format_accuracy(self.precision)} "
            f"{format_interval(self.precision_ci95)})"
            if self.proposed
            else "none is proposed"
        )
        return (
            f"Of {self.known:,} labels whose true class is known {self.wrong:,} are wrong. {self.proposed:,} are "
            f"proposed: {share}; that is {format_percent(self.recall)} of the wrong ones (recall "
            f"{format_accuracy(self.recall)} {format_interval(self.recall_ci95)}). Average precision of the ranking "
            f"{format_accuracy(self.average_precision)}, of a random one {base}."
        )


@dataclasses.dataclass(frozen=True)
class LabelRanking:
    """Labels of a data set, the most suspicious first.

    Attributes:
        sweep, configuration: whose labels they are; `runs` is the number of runs that they are the mean of.
        dataset, noun: the data set, and what it holds: images or vectors.
        table: one row per label: `index` in the data set, `image` (its path, of a folder of images alone), `given` and
            `learned` class, `probability` of the learned one, `given_mass`, the mass left to the given one,
            `proposed`: whether the learned class is proposed in place of the given one, `runs` that the image was
            trained in, and where it is known the `truth`.
        images: number of images that runs may be trained on.
        detection: None where no label is known to be wrong.
        notes: limits of these labels, a sentence each.
        page, on_page: the page, and the number of labels on it.
    """

    sweep: str
    configuration: str
    runs: int
    dataset: str
    noun: str
    class_names: tuple[str, ...]
    table: "pd.DataFrame"
    images: int
    detection: Detection | None
    notes: tuple[str, ...]
    page: Path | None = None
    on_page: int = 0

    @property
    def proposed(self) -> int:
        """Number of labels for which another class is proposed."""
        return int(self.table["proposed"].sum())

    @property
    def headline(self) -> str:
        total = len(self.table)
        share = format_percent(self.proposed / total)
        return f"{self.configuration} proposes another class for {self.proposed:,} of {total:,} labels ({share})."

    @property
    def sentences(self) -> list[str]:
        quality = "How many labels are wrong is not known." if self.detection is None else self.detection.sentence
        return [self.headline, f"Proposed: {CUT}.", quality, *self.notes]

    def to_dict(self) -> dict[str, Any]:
        """Everything that is known, as data for JSON."""
        plain = ("sweep", "configuration", "runs", "dataset", "class_names", "images", "notes")
        return {
            **{name: getattr(self, name) for name in plain},
            "proposed": self.proposed,
            "cut": CUT,
            "detection": None if self.detection is None else dataclasses.asdict(self.detection),
            "labels": self.table.to_dict(orient="records"),
        }

    def __repr__(self) -> str:
        return f"LabelRanking({self.sweep}: {self.headline.rstrip('.')})"


def margins(labels: NDArray[np.floating], given: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mass of the given class minus the largest mass of another one, [N] of labels [N, classes]."""
    rows = np.arange(len(given))
    others = labels.astype(np.float64)
    mass = others[rows, given].copy()
    others[rows, given] = -np.inf
    return np.asarray(mass - others.max(axis=1))


def rank_labels(
    sweep: str,
    source: LabelRuns,
    mean: MeanLabels,
    *,
    dataset: str,
    noun: str,
    images: int,
    paths: Sequence[str] | None,
    noise: str,
) -> LabelRanking:
    """Rank the labels of a configuration.

    Where the true class of some images is known and equals the given one, while that of the others is unknown, the
    former are those that a user trusts: they are not ranked.

    Args:
        images: number of images that runs may be trained on.
        paths: of the images in the order of `mean.index`; None where they have none.
        noise: the setting of the runs.
    """
    import pandas as pd  # takes half a second to import

    trusted = mean.truth >= 0
    margin = margins(mean.labels, mean.given)
    detection = _detection(margin, mean)
    if noise != "given" or detection is not None or trusted.all():
        trusted[:] = False
    mean, margin = mean.subset(~trusted), margin[~trusted]
    order = np.argsort(margin, kind="stable")
    rows, names = np.arange(len(order)), np.array(mean.class_names, dtype=object)
    learned = np.where(margin < 0, mean.labels.argmax(axis=1), mean.given)
    columns: dict[str, Any] = {
        "index": mean.index,
        **({} if paths is None else {"image": np.array(paths, dtype=object)[~trusted]}),
        "given": names[mean.given],
        "learned": names[learned],
        "probability": mean.labels[rows, learned].round(4),
        "given_mass": mean.labels[rows, mean.given].round(4),
        "proposed": margin < 0,
        "runs": mean.runs,
    }
    if detection is not None:
        columns["truth"] = np.where(mean.truth >= 0, names[mean.truth], "")
    table = pd.DataFrame({name: column[order] for name, column in columns.items()})
    return LabelRanking(
        sweep=sweep,
        configuration=source.name,
        runs=mean.total_runs,
        dataset=dataset,
        noun=noun,
        class_names=mean.class_names,
        table=table,
        images=images,
        detection=detection,
        notes=tuple(_notes(source, mean, noun, images, int(trusted.sum()), noise)),
    )


def _detection(margin: NDArray[np.float64], mean: MeanLabels) -> Detection | None:
    known = mean.truth >= 0
    wrong, score = (mean.truth != mean.given)[known], -margin[known]
    if not wrong.any() or wrong.all():
        return None
    from sklearn.metrics import average_precision_score  # half a second

    from analysis.frames.sweep_frame import interval as wilson_interval  # pandas

    proposed = score > 0
    hits, n_proposed, n_wrong = (int(mask.sum()) for mask in (proposed & wrong, proposed, wrong))
    return Detection(
        known=int(known.sum()),
        wrong=n_wrong,
        proposed=n_proposed,
        precision=hits / n_proposed if n_proposed else None,
        precision_ci95=wilson_interval(hits / n_proposed, n_proposed) if n_proposed else None,
        recall=hits / n_wrong,
        recall_ci95=wilson_interval(hits / n_wrong, n_wrong),
        average_precision=float(average_precision_score(wrong, score)),
    )


def _notes(source: LabelRuns, mean: MeanLabels, noun: str, images: int, trusted: int, noise: str) -> list[str]:
    seeds = f"{len(source.seeds)} fresh seed{'s' * (len(source.seeds) > 1)}"
    run = "each run" if mean.total_runs > 1 else "the run"
    if mean.redrawn:
        read = f"Labels of seed {source.seeds[0]} alone: noise {noise} draws other wrong labels for each of {seeds}."
    elif source.seeds:
        read = f"Mean of the labels over {seeds}."
    else:
        read = "Labels of one trial of the search; the mean over the fresh seeds of a confirmation is steadier."
    notes = [read]
    others = images - len(mean.index) - trusted
    reasons = [
        *(["their true class is known"] if trusted else []),
        *([f"{run} took them for meta or validation images"] if others else []),
    ]
    if reasons:
        notes.append(f"{trusted + others:,} of {images:,} {noun} are not ranked: {', or '.join(reasons)}.")
    return notes
