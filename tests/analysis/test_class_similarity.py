"""Tables of labels by class, on labels whose likeness is built in."""

import numpy as np
import pytest

from analysis.frames.class_similarity import (
    agreement,
    class_table,
    most_alike,
    off_diagonal_mass,
    superclass_table,
    symmetrised,
)

NAMES = tuple("abcdef")
GROUPS = {"round": [0, 3, 5], "straight": [1, 4], "other": [2]}


def soft_labels(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a tenth of their mass in their own group, and a little noise; the classes they are of."""
    generator = np.random.default_rng(seed)
    together = superclass_table(GROUPS, NAMES) - np.eye(6)
    rows = 0.9 * np.eye(6) + 0.1 * (together + 0.05) / (together + 0.05).sum(1, keepdims=True)
    classes = generator.permutation(np.arange(images) % 6)
    labels = rows[classes] + 0.005 * generator.random((images, 6))
    return labels / labels.sum(1, keepdims=True), classes


def test_a_class_is_the_mean_of_its_images_and_unknown_ones_are_left_out() -> None:
    labels, classes = soft_labels(24)
    table = class_table(labels, classes, NAMES)
    assert table[4] == pytest.approx(labels[classes == 4].mean(0))
    assert table.sum(1) == pytest.approx(np.ones(6))
    unknown = np.append(classes, -1)
    assert np.array_equal(class_table(np.vstack([labels, np.eye(6)[0]]), unknown, NAMES), table)
    with pytest.raises(ValueError, match="expected images of each of 6 classes, got none of d"):
        class_table(labels[classes != 3], classes[classes != 3], NAMES)


def test_labels_that_follow_groups_agree_with_them() -> None:
    table = class_table(*soft_labels(60), NAMES)
    result = agreement(table, superclass_table(GROUPS, NAMES), 0)
    assert result.symmetric.rho > 0.6
    assert result.symmetric.p_value < 0.05
    assert result.directed is None, "a group has no direction"
    assert result.mass == pytest.approx(off_diagonal_mass(table))
    assert 0.08 < result.mass < 0.13
    pairs = {(i, j) for i, j, _ in most_alike(table, 4)}
    assert pairs == {(0, 3), (0, 5), (3, 5), (1, 4)}


def test_one_way_likeness_shows_in_the_directed_answer_alone() -> None:
    generator = np.random.default_rng(7)
    table = generator.random((8, 8))
    result = agreement(table, table.T, 0)
    assert result.symmetric.rho == pytest.approx(1)
    assert result.directed is not None
    assert result.directed.rho < 0.5
    assert np.array_equal(symmetrised(table), symmetrised(table.T))


@pytest.mark.parametrize("groups", [{"a": [0, 1]}, {"a": [0, 1, 2], "b": [2]}, {"a": [0, 1], "b": []}])
def test_each_class_has_one_group(groups: dict[str, list[int]]) -> None:
    with pytest.raises(ValueError, match="expected each of 3 classes in one group, got none or two for c"):
        superclass_table(groups, NAMES[:3])
