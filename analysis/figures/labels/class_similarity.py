"""Learned class labels as a picture: which classes lend each other mass, in an order that puts those together.

    Y_cd   what the label of class c gives to class d        (`analysis.frames.class_similarity.class_table`)

Classes are clustered by average linkage (Sokal and Michener 1958), nearest those that lend each other most, and the
rows and columns of the picture stand in the order of that tree, its branches turned so that neighbours are as near as
can be (Bar-Joseph, Gifford and Jaakkola 2001). The diagonal is left blank: nearly all of the mass is there.

How far to believe it: another seed of the same configuration gives another table. Where the sweep was confirmed, each
fresh seed's table is held against the best trial's by Mantel's test, and every pair of classes has its range over them.
So is the reference of `harness.semantics` (votes, other models, superclasses), where that was asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.figures import style
from analysis.frames.class_similarity import class_table, most_alike, off_diagonal_mass, symmetrised
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import SweepFrame
from harness.results import ResultFileError, Semantics
from harness.statistics import MantelResult, mantel_test
from harness.tracking.tracking_uri import TrackingError

FEWEST = 3  # classes: of two there is one pair
PAIRS = 10
STEM = 0.1  # how far from the classes the closest two join, of the tree's height: that it can be seen
WRITTEN = 12  # classes, at most, whose numbers stand in the picture
NAMED = 40  # classes, at most, that are named along it
NONE = "this sweep has no class labels: they are a matrix only where a learned arm has `labels: class`"
NAMES = {"votes": "people's votes", "model": "other models", "superclasses": "superclasses"}
UNKNOWN = "the course of the class labels was not kept (no label_history.npz)"
ALONE = "nothing to hold the class labels against: the sweep is not confirmed, and has no reference"
PAIR_COLUMNS = ["class", "and", "mutual_percent", "seeds_low", "seeds_high"]


@dataclass(frozen=True)
class Tables:
    """The class labels [C, C] of the run `name`, and those of fresh seeds."""

    name: str
    table: NDArray[np.float64]
    seeds: list[NDArray[np.float64]]
    labels: Labels

    @cached_property
    def tree(self) -> NDArray[np.float64]:
        """How the classes join, as scipy has it; the distance of two is how much less they lend than the closest do."""
        from scipy.cluster.hierarchy import linkage  # a quarter of a second: not for a sweep without class labels
        from scipy.spatial.distance import squareform

        mutual = symmetrised(self.table)
        np.fill_diagonal(mutual, 0)
        apart = (1 + STEM) * mutual.max() - mutual
        np.fill_diagonal(apart, 0)
        tree: NDArray[np.float64] = linkage(squareform(apart, checks=False), "average", optimal_ordering=True)
        return tree

    @property
    def order(self) -> list[int]:
        """The classes from one end of the tree to the other."""
        from scipy.cluster.hierarchy import leaves_list

        return [int(each) for each in leaves_list(self.tree)]


def tables(labels: Labels | str, others: Sequence[Labels] = ()) -> Tables | str:
    """Of class labels and their fresh seeds; else why there are none."""
    if isinstance(labels, str):
        return NONE
    if labels.classes < FEWEST:
        return f"{labels.name} has {labels.classes} classes: of two there is one pair, and nothing to order"
    try:
        found = [class_table(each.labels, each.given, each.classes) for each in (labels, *others)]
    except ValueError as error:
        return f"{labels.name}: {error}"
    return Tables(labels.name, found[0], found[1:], labels)


def pairs(found: Tables | str, few: int = PAIRS) -> pd.DataFrame:
    """The classes most alike, their mutual mass in % of a label, and its range over the fresh seeds (NaN without)."""
    if isinstance(found, str):
        return pd.DataFrame(columns=PAIR_COLUMNS)
    rows = []
    for one, other, mass in most_alike(found.table, few):
        over = [100 * float(symmetrised(table)[one, other]) for table in found.seeds] or [np.nan]
        rows.append([one, other, 100 * mass, min(over), max(over)])
    return pd.DataFrame(rows, columns=PAIR_COLUMNS).round(3)


def agreements(found: Tables | str, others: Mapping[str, NDArray[np.float64]] | None = None) -> pd.DataFrame:
    """A row a fresh seed, and a reference: Spearman's ρ over pairs of classes, its interval, and Mantel's p."""
    columns = ["with", "rho", "low", "high", "p_value"]
    if isinstance(found, str):
        return pd.DataFrame(columns=columns)
    named = {f"fresh seed {place}": table for place, table in enumerate(found.seeds, 1)} | dict(others or {})
    rows = []
    for name, table in named.items():
        if table.shape != found.table.shape:
            continue
        agreement = _agreement(found.table, table)
        rows.append([name, agreement.rho, agreement.low, agreement.high, agreement.p_value])
    return pd.DataFrame(rows, columns=columns)


def _agreement(one: NDArray[np.float64], other: NDArray[np.float64]) -> MantelResult:
    return mantel_test(symmetrised(one), symmetrised(other), seed=0, symmetric=True)


def references(study: SweepFrame) -> dict[str, NDArray[np.float64]]:
    """What `harness.semantics` held the sweep's labels against, by its name; nothing where it was not asked."""
    with TemporaryDirectory() as folder:
        try:
            found = Semantics.load(study.sweep.artifact(Semantics.FILE, Path(folder))).reference
        except (TrackingError, ResultFileError):
            return {}
    return {NAMES.get(found.kind, found.kind): np.array(found.table, dtype=np.float64)}


def words(found: Tables | str) -> str:
    """How much mass lies between classes, and whether another seed gives the same."""
    if isinstance(found, str):
        return found
    mass = 100 * off_diagonal_mass(found.table)
    said = f"{found.name}: {mass:.2f} % of a class label lies on other classes, on average"
    if not found.seeds:
        return f"{said}; not confirmed: what another seed gives is not known."
    masses = [100 * off_diagonal_mass(table) for table in found.seeds]
    rhos = agreements(found)["rho"]
    return (
        f"{said} ({min(masses):.2f} to {max(masses):.2f} % over {len(masses)} fresh seeds). With theirs, the order of "
        f"the pairs has a rank correlation of {rhos.min():.2f} to {rhos.max():.2f}."
    )


def figure(found: Tables | str) -> Figure:
    """The tree beside the matrix, or why there is none."""
    if isinstance(found, str):
        return _saying(found)
    drawn = Figure(figsize=(style.WIDTH, 0.78 * style.WIDTH))
    _draw(drawn, found)
    return drawn


def panel(found: Tables) -> Figure:
    """The same in a picture that a phone can show."""
    drawn = Figure(figsize=(style.PANEL[0], 0.95 * style.PANEL[0]))
    _draw(drawn, found)
    return drawn


def course(found: Tables | str) -> Figure:
    """The mass on other classes over the epochs, a line a class; or why there is none."""
    kept = None if isinstance(found, str) else found.labels.course
    if isinstance(found, str) or kept is None or "class_labels" not in kept:
        return _saying(found if isinstance(found, str) else UNKNOWN)
    drawn, axes = style.panel(2.8)
    mass = 100 * (1 - np.diagonal(kept["class_labels"].astype(np.float64), axis1=1, axis2=2))
    for each in range(mass.shape[1]):
        axes.plot(kept.epochs, mass[:, each], color="0.55", linewidth=0.7, label="a class" if each == 0 else None)
    axes.plot(kept.epochs, mass.mean(axis=1), color=style.BLUE, linewidth=1.8, label="mean over classes")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mass on other classes (%)")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return drawn


def agreement(found: Tables | str, others: Mapping[str, NDArray[np.float64]] | None = None) -> Figure:
    """Rank correlations with fresh seeds and references, with intervals over the classes; or why there are none."""
    rows = agreements(found, others)
    rows = rows[rows["rho"].notna()].iloc[::-1].reset_index(drop=True)
    if isinstance(found, str) or rows.empty:
        return _saying(found if isinstance(found, str) else ALONE)
    drawn = Figure(figsize=(style.WIDTH, 1.0 + 0.28 * len(rows)))
    axes = drawn.subplots()
    reach = [(rows["rho"] - rows["low"]).clip(lower=0), (rows["high"] - rows["rho"]).clip(lower=0)]
    look: dict[str, Any] = {"fmt": "o", "color": style.BLUE, "ecolor": "0.35", "capsize": 2, "markersize": 5}
    axes.errorbar(rows["rho"], rows.index, xerr=reach, **look)
    axes.axvline(0, color="0.15", linewidth=0.9, zorder=1)
    axes.set_yticks(rows.index, rows["with"])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(-1.02, 1.02)
    axes.set_xlabel("rank correlation of the pairs of classes (Spearman's ρ)")
    axes.grid(axis="y", visible=False)
    return drawn


def _saying(words: str) -> Figure:
    drawn = Figure(figsize=(style.WIDTH, 1.0))
    style.say(drawn.subplots(), words)
    return drawn


def _draw(drawn: Figure, found: Tables) -> None:
    from scipy.cluster.hierarchy import dendrogram

    branches, axes = drawn.subplots(1, 2, width_ratios=(1, 4.6))
    dendrogram(
        found.tree, ax=branches, orientation="left", no_labels=True, color_threshold=0, above_threshold_color="0.3"
    )
    branches.invert_yaxis()
    branches.set_axis_off()
    order = found.order
    shown = 100 * found.table[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    count = len(order)
    picture = axes.imshow(shown, cmap=style.MAP, vmin=0, aspect="auto", interpolation="nearest")
    drawn.colorbar(picture, ax=axes, label="mass that the label gives to the class (%)", pad=0.02, aspect=28)
    if count <= NAMED:
        axes.set_xticks(range(count), [str(each) for each in order], fontsize="small" if count > WRITTEN else None)
        axes.set_yticks(range(count), [str(each) for each in order], fontsize="small" if count > WRITTEN else None)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.set_xlabel("class that is given mass")
    axes.set_ylabel("class whose label it is")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    if count <= WRITTEN:
        _write(axes, shown)


def _write(axes: Axes, shown: NDArray[np.float64]) -> None:
    half = np.nanmax(shown) / 2
    for (row, column), value in np.ndenumerate(shown):
        if np.isfinite(value):
            look: dict[str, Any] = {"color": "white" if value < half else "black", "ha": "center", "va": "center"}
            text = "·" if value < 0.05 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
            axes.text(column, row, text, fontsize="x-small", **look)
