"""Learned class labels as a matrix: the mass that classes give each other, similar ones side by side.

    Y_cd   what the label of class c gives to class d        (`analysis.frames.class_similarity.class_table`)

Classes are clustered by average linkage (Sokal and Michener 1958), nearest those that give each other most, and rows
and columns stand in the order of that tree, its branches turned so that neighbours are as near as can be (Bar-Joseph,
Gifford and Jaakkola 2001). The diagonal is left blank: nearly all of the mass is there.

Another seed of the same configuration gives another table. Where the sweep was confirmed, the table of each fresh seed
is compared with the best trial's by Mantel's test, and every pair of classes has its range over the seeds. So is the
reference of `harness.semantics` (votes, other models, superclasses), where there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures import style
from analysis.figures.style import Plot, Plots
from analysis.frames.class_similarity import Table, class_table, most_alike, off_diagonal_mass, symmetrised
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import SweepFrame
from harness.common.formatting import format_correlation, format_percent
from harness.results import ResultFileError, Semantics
from harness.statistics import mantel_test
from harness.tracking.tracking_uri import TrackingError

MIN_CLASSES = 3  # two classes are one pair
N_PAIRS = 10
CLOSEST_JOIN = 0.1  # height at which the closest two classes join, of the tree's: visible
MAX_WITH_NUMBERS = 12  # classes, for which numbers stand in the matrix
MAX_NAMED = 40  # classes, for which names stand beside it
MAX_NAME = 16  # characters of a class's name
MAX_LEVEL_NAME = 3  # characters of a name, up to which names stand level below the matrix
NO_CLASS_LABELS = "this sweep has no class labels: they are a matrix only where a learned arm has `labels: class`"
NO_HISTORY = "the history of the class labels was not kept (no label_history.npz)"
NO_COMPARISON = "nothing to compare the class labels with: the sweep is not confirmed, and has no reference"
REFERENCE_NAMES = {"votes": "people's votes", "model": "other models", "superclasses": "superclasses"}
PAIR_COLUMNS = ["class", "and", "mutual_percent", "seeds_low", "seeds_high"]
AGREEMENT_COLUMNS = ["with", "rho", "low", "high", "p_value"]


@dataclass(frozen=True)
class ClassLabels:
    """Class labels [C, C] of the run `name`, and those of fresh seeds."""

    name: str
    table: Table
    seeds: list[Table]
    labels: Labels

    @cached_property
    def tree(self) -> NDArray[np.float64]:
        """scipy's linkage matrix; the distance of two classes is what they give each other less than the closest."""
        from scipy.cluster.hierarchy import linkage  # a quarter of a second: not for a sweep without class labels
        from scipy.spatial.distance import squareform

        mutual = symmetrised(self.table)
        np.fill_diagonal(mutual, 0)
        distances = (1 + CLOSEST_JOIN) * mutual.max() - mutual
        np.fill_diagonal(distances, 0)
        tree: NDArray[np.float64] = linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
        return tree

    @property
    def order(self) -> list[int]:
        """The classes from one end of the tree to the other."""
        from scipy.cluster.hierarchy import leaves_list

        return [int(leaf) for leaf in leaves_list(self.tree)]


def class_labels(labels: Labels | str, fresh_seeds: Sequence[Labels] = ()) -> ClassLabels | str:
    """Class labels and those of fresh seeds; a sentence where there are none."""
    if isinstance(labels, str):
        return NO_CLASS_LABELS
    if labels.classes < MIN_CLASSES:
        return f"{labels.name} has {labels.classes} classes: two are one pair, and have no order"
    try:
        tables = [class_table(run.labels, run.given, run.class_names) for run in (labels, *fresh_seeds)]
    except ValueError as error:
        return f"{labels.name}: {error}"
    return ClassLabels(labels.name, tables[0], tables[1:], labels)


def pair_table(matrix: ClassLabels | str, count: int = N_PAIRS) -> pd.DataFrame:
    """The classes most alike, their mutual mass in % of a label, and its range over the fresh seeds (NaN without)."""
    if isinstance(matrix, str):
        return pd.DataFrame(columns=PAIR_COLUMNS)
    rows = []
    names = matrix.labels.class_names
    for i, j, mass in most_alike(matrix.table, count):
        over_seeds = [100 * float(symmetrised(table)[i, j]) for table in matrix.seeds] or [np.nan]
        rows.append([names[i], names[j], 100 * mass, min(over_seeds), max(over_seeds)])
    return pd.DataFrame(rows, columns=PAIR_COLUMNS).round(3)


def agreement_table(matrix: ClassLabels | str, references: Mapping[str, Table] | None = None) -> pd.DataFrame:
    """A row per fresh seed and reference: Spearman's ρ over pairs of classes, its interval, and Mantel's p."""
    if isinstance(matrix, str):
        return pd.DataFrame(columns=AGREEMENT_COLUMNS)
    tables = {f"fresh seed {k}": table for k, table in enumerate(matrix.seeds, 1)} | dict(references or {})
    rows = []
    for name, table in tables.items():
        if table.shape == matrix.table.shape:
            result = mantel_test(symmetrised(matrix.table), symmetrised(table), seed=0, symmetric=True)
            rows.append([name, result.rho, result.low, result.high, result.p_value])
    return pd.DataFrame(rows, columns=AGREEMENT_COLUMNS)


def references(sweep: SweepFrame) -> dict[str, Table]:
    """The reference of `harness.semantics`, by its name; empty where it was not run."""
    with TemporaryDirectory() as folder:
        try:
            reference = Semantics.load(sweep.sweep.artifact(Semantics.FILE, Path(folder))).reference
        except (TrackingError, ResultFileError):
            return {}
    return {REFERENCE_NAMES.get(reference.kind, reference.kind): np.array(reference.table, dtype=np.float64)}


def description(matrix: ClassLabels | str) -> str:
    """How much mass lies on other classes, and whether another seed gives the same."""
    if isinstance(matrix, str):
        return matrix
    mass = format_percent(off_diagonal_mass(matrix.table), 2)
    text = f"{matrix.name}: {mass} of a class label lies on other classes, on average"
    if not matrix.seeds:
        return f"{text}; not confirmed: what another seed gives is not known."
    masses = [off_diagonal_mass(table) for table in matrix.seeds]
    rhos = agreement_table(matrix)["rho"]
    return (
        f"{text} ({format_percent(min(masses), 2)} to {format_percent(max(masses), 2)} over {len(masses)} fresh "
        "seeds). With theirs, the order of the pairs has a rank correlation of "
        f"{format_correlation(rhos.min())} to {format_correlation(rhos.max())}."
    )


def matrix_figure(matrix: ClassLabels | str, width: float = style.WIDTH) -> Figure:
    """The tree beside the matrix, `width` inches wide."""
    if isinstance(matrix, str):
        return style.figure([matrix])
    whole = Figure(figsize=(width, (0.78 if width == style.WIDTH else 0.95) * width))
    tree_axes, axes = whole.subplots(1, 2, width_ratios=(1, 4.6))
    _draw_tree(tree_axes, matrix)
    _draw_matrix(axes, matrix)
    return whole


def history_plots(matrix: ClassLabels | str) -> Plots:
    """The mass on other classes over the epochs, a line per class."""
    if isinstance(matrix, str):
        return [matrix]
    history = matrix.labels.history
    if history is None or "class_labels" not in history:
        return [NO_HISTORY]
    mass = 100 * (1 - np.diagonal(history["class_labels"].astype(np.float64), axis1=1, axis2=2))
    return [Plot(lambda axes: _draw_history(axes, history["epochs"], mass), height=2.8)]


def agreement_plots(matrix: ClassLabels | str, references: Mapping[str, Table] | None = None) -> Plots:
    """Rank correlations with fresh seeds and references, with intervals over the classes."""
    rows = agreement_table(matrix, references).dropna(subset="rho")
    if isinstance(matrix, str) or rows.empty:
        return [matrix if isinstance(matrix, str) else NO_COMPARISON]
    return [Plot(lambda axes: _draw_agreement(axes, rows), height=1.0 + 0.28 * len(rows))]


def _draw_history(axes: Axes, epochs: NDArray[np.int64], mass: NDArray[np.float64]) -> None:
    axes.plot(epochs, mass, color="0.55", linewidth=0.7, label="a class")
    axes.plot(epochs, mass.mean(axis=1), color=style.BLUE, linewidth=1.8, label="mean over classes")
    style.epoch_axis(axes)
    axes.set_ylabel("mass on other classes (%)")
    axes.set_ylim(bottom=0)


def _draw_agreement(axes: Axes, rows: pd.DataFrame) -> None:
    style.draw_intervals(axes, rows, "rho", list(rows["with"]))
    axes.axvline(0, color="0.15", linewidth=0.9, zorder=1)
    axes.set_xlim(-1.02, 1.02)
    axes.set_xlabel("rank correlation of the pairs of classes (Spearman's ρ)")


def _draw_tree(axes: Axes, matrix: ClassLabels) -> None:
    from scipy.cluster.hierarchy import dendrogram

    options = {"orientation": "left", "no_labels": True, "color_threshold": 0, "above_threshold_color": "0.3"}
    dendrogram(matrix.tree, ax=axes, **options)
    axes.invert_yaxis()
    axes.set_axis_off()


def _draw_matrix(axes: Axes, matrix: ClassLabels) -> None:
    order = matrix.order
    shown = 100 * matrix.table[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    image = axes.imshow(shown, cmap=style.COLOR_MAP, vmin=0, aspect="auto", interpolation="nearest")
    label = "mass that the label gives to the class (%)"
    axes.get_figure().colorbar(image, ax=axes, label=label, pad=0.02, aspect=28)  # type: ignore[union-attr]
    named = len(order) <= MAX_NAMED
    size = "small" if len(order) > MAX_WITH_NUMBERS else None
    names = [style.name_text(matrix.labels.class_names[index], MAX_NAME) for index in order] if named else []
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(range(len(names)), names, fontsize=size)
    if max(map(len, names), default=0) > MAX_LEVEL_NAME:
        axes.tick_params("x", labelrotation=90)
    axes.set_xlabel("class that is given mass")
    axes.set_ylabel("class whose label it is")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    if len(order) > MAX_WITH_NUMBERS:
        return
    for (row, column), value in np.ndenumerate(shown):
        if np.isfinite(value):
            color = "white" if value < np.nanmax(shown) / 2 else "black"
            text = "·" if value < 0.05 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
            axes.text(column, row, text, fontsize="x-small", color=color, ha="center", va="center")
