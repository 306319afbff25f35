"""Which classes are alike by the learned labels, and whether people, another model or a taxonomy agree.

    Y_cd = mean over the images of class c of what their labels give to class d        (a class label is its row)

The entries off the diagonal say which classes c is similar to. Mantel's test (`harness.statistics.mantel_test`)
compares their ranks with those of a reference R, a table of the same form: which classes are alike, not by how much.

Taxonomies are symmetric: `symmetric` is over the C(C-1)/2 pairs of (Y + Yᵀ)/2. Labels, votes and confusions need not
be: a boot may pass for a sneaker more often than a sneaker for a boot. `directed` is over all C(C-1) entries as they
are; it also asks whether the same classes are doubtful at all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.common.formatting import format_list
from harness.statistics import MantelResult, mantel_test

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How a table of labels agrees with a reference. `directed`: None where the reference is symmetric."""

    mass: float
    symmetric: MantelResult
    directed: MantelResult | None


def class_table(labels: NDArray[np.floating], classes: NDArray[np.integer], class_names: Sequence[str]) -> Table:
    """The mean row of `labels` [N, C] over the images of each class: [C, C], rows of sum 1.

    Args:
        classes: [N], the class of each image; -1, unknown: left out.

    Raises:
        ValueError: a class has no image.
    """
    members = classes[None, :] == np.arange(len(class_names))[:, None]
    sizes = members.sum(1)
    if absent := [name for name, size in zip(class_names, sizes, strict=True) if not size]:
        raise ValueError(f"expected images of each of {len(class_names)} classes, got none of {format_list(absent)}")
    sums: Table = members.astype(np.float64) @ labels.astype(np.float64)
    means: Table = sums / sizes[:, None]
    return means


def off_diagonal_mass(table: Table) -> float:
    """The share of a label that lies on other classes than its own, mean over classes; 0 for one-hot labels."""
    return float(1 - np.diag(table).mean())


def symmetrised(table: Table) -> Table:
    """(Y + Yᵀ)/2."""
    mean: Table = (table + table.T) / 2
    return mean


def superclass_table(groups: Mapping[str, Sequence[int]], class_names: Sequence[str]) -> Table:
    """1 where two classes share a group, else 0: [C, C].

    Raises:
        ValueError: a class is in no group, or in two.
    """
    placed = Counter(c for members in groups.values() for c in members)
    if wrong := [name for c, name in enumerate(class_names) if placed[c] != 1]:
        raise ValueError(
            f"expected each of {len(class_names)} classes in one group, got none or two for {format_list(wrong)}"
        )
    table = np.zeros((len(class_names), len(class_names)))
    for members in groups.values():
        table[np.ix_(members, members)] = 1
    return table


def agreement(labels: Table, reference: Table, seed: int) -> Agreement:
    """How the table `labels` agrees with `reference`, both [C, C].

    Args:
        seed: draws the renamings of Mantel's test.
    """
    mutual = mantel_test(symmetrised(labels), symmetrised(reference), seed, symmetric=True)
    one_way = None if np.array_equal(reference, reference.T) else mantel_test(labels, reference, seed)
    return Agreement(off_diagonal_mass(labels), mutual, one_way)


def most_alike(table: Table, few: int) -> list[tuple[int, int, float]]:
    """The `few` pairs of classes, as i < j, with most of each other in their labels, and how much, the most first."""
    mutual = symmetrised(table)
    rows, columns = np.triu_indices(len(mutual), 1)
    order = np.argsort(-mutual[rows, columns], kind="stable")[:few]
    return [(int(rows[k]), int(columns[k]), float(mutual[rows[k], columns[k]])) for k in order]
