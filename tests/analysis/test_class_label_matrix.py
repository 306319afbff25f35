"""The matrix of class labels: classes that give each other mass stand together; fresh seeds say how reliable it is."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import style
from analysis.figures.labels import class_label_matrix
from analysis.figures.labels.class_label_matrix import ClassLabels
from analysis.frames import label_snapshots
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import SweepFrame
from analysis.report.svg import figures, page_style
from harness.tracking.spool.events import SweepStarted
from harness.training.data.class_names import numbered_classes
from tests.analysis.sweeps import ALIKE, confirmation_events, record, search_events, with_class_labels
from tests.support.results import semantics


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepFrame:
    """A confirmed sweep with class labels, from its own folder."""
    folder = tmp_path_factory.mktemp("classes") / "label_lr"
    return record(folder, [*with_class_labels(search_events(), folder), *confirmation_events(folder)])


@pytest.fixture(scope="module")
def matrix(sweep: SweepFrame) -> ClassLabels:
    labels = label_snapshots.best_labels(sweep, "class")
    labels_and_seeds = class_label_matrix.class_labels(labels, label_snapshots.fresh_seed_labels(sweep, labels))
    assert isinstance(labels_and_seeds, ClassLabels)
    return labels_and_seeds


def test_the_table_is_the_one_that_the_labels_came_from(matrix: ClassLabels) -> None:
    assert matrix.table.shape == (5, 5)
    np.testing.assert_allclose(matrix.table.sum(axis=1), 1, atol=1e-6)
    for one, other, mass in ALIKE:
        assert matrix.table[one, other] == pytest.approx(mass, abs=1e-6)
    assert len(matrix.seeds) == 4


def test_classes_that_give_each_other_mass_stand_side_by_side(matrix: ClassLabels) -> None:
    order = matrix.order
    assert sorted(order) == list(range(5))
    for one, other, _ in ALIKE:
        assert abs(order.index(one) - order.index(other)) == 1
    assert set(matrix.tree[0, :2].astype(int)) == {0, 3}, "the closest join first"


def test_the_order_of_the_classes_does_not_decide_the_tree(matrix: ClassLabels) -> None:
    renamed = [3, 1, 4, 0, 2]
    other = ClassLabels(matrix.name, matrix.table[np.ix_(renamed, renamed)], [], matrix.labels)
    np.testing.assert_allclose(np.sort(other.tree[:, 2]), np.sort(matrix.tree[:, 2]), atol=1e-12)


def test_pairs_have_their_range_over_the_seeds(matrix: ClassLabels) -> None:
    rows = class_label_matrix.pair_table(matrix, 2)
    assert [tuple(row) for row in rows[["class", "and"]].to_numpy()] == [("0", "3"), ("1", "4")]
    assert list(rows["mutual_percent"]) == pytest.approx([20, 10], abs=0.001)
    third = class_label_matrix.pair_table(matrix, 3).iloc[2]
    assert third["seeds_low"] < third["seeds_high"] < 1


def test_the_figure_shows_the_matrix_in_that_order_without_its_diagonal(matrix: ClassLabels) -> None:
    drawn = class_label_matrix.matrix_figure(matrix)
    axes = drawn.axes[1]
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert np.isnan(np.diag(shown)).all()
    order = matrix.order
    assert shown[order.index(0), order.index(3)] == pytest.approx(20, abs=1e-3)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(index) for index in order]
    assert drawn.axes[2].get_ylabel().endswith("(%)")


def test_seeds_that_say_the_same_agree_and_a_renamed_reference_does_not(matrix: ClassLabels) -> None:
    renamed = [2, 3, 0, 1, 4]
    rows = class_label_matrix.agreement_table(
        matrix, {"itself": matrix.table, "renamed": matrix.table[np.ix_(renamed, renamed)]}
    )
    assert list(rows["with"]) == [*(f"fresh seed {place}" for place in range(1, 5)), "itself", "renamed"]
    by = rows.set_index("with")
    assert by.loc["itself", "rho"] == pytest.approx(1)
    assert by.loc["renamed", "rho"] < 0.5
    assert by.loc["itself", "p_value"] < 0.05
    axes = style.figure(class_label_matrix.agreement_plots(matrix)).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [f"fresh seed {place}" for place in range(4, 0, -1)]


def test_the_reference_is_the_one_that_was_asked_for(matrix: ClassLabels, tmp_path: Path) -> None:
    folder = tmp_path / "label_lr"
    folder.mkdir()
    reference = {"kind": "votes", "images": 60, "table": matrix.table.tolist()}
    semantics(reference).save(folder)
    event = SweepStarted(name="label_lr", tags={}, artifacts=(str(folder / "semantics.json"),))
    sweep = record(folder, [*with_class_labels(search_events(), folder), event])
    rows = class_label_matrix.agreement_table(matrix, class_label_matrix.references(sweep)).set_index("with")
    assert rows.loc["people's votes", "rho"] == pytest.approx(1)
    (folder / "semantics.json").write_text("{cut")
    assert class_label_matrix.references(sweep) == {}
    assert "votes" not in set(class_label_matrix.agreement_table(matrix, {"votes": np.eye(4)})["with"]), (
        "of other classes"
    )


def test_the_history_ends_at_the_mean_mass(matrix: ClassLabels) -> None:
    axes = style.figure(class_label_matrix.history_plots(matrix)).axes[0]
    mean = next(line for line in axes.lines if line.get_label() == "mean over classes")
    assert np.asarray(mean.get_ydata())[-1] == pytest.approx(100 * (1 - np.diag(matrix.table).mean()), abs=0.05)
    assert axes.get_ylabel().endswith("(%)")
    assert "over 4 fresh seeds" in class_label_matrix.description(matrix)


def test_without_class_labels_every_part_states_it(matrix: ClassLabels) -> None:
    none = class_label_matrix.class_labels("no learned trial ran to its end with class labels")
    assert none == class_label_matrix.NO_CLASS_LABELS
    assert class_label_matrix.matrix_figure(none).axes[0].texts[0].get_text() == none
    assert class_label_matrix.history_plots(none) == class_label_matrix.agreement_plots(none) == [none]
    assert class_label_matrix.pair_table(none).empty
    assert class_label_matrix.agreement_table(none).empty
    labels = matrix.labels
    two = Labels("two", labels.labels[:, :2], labels.given % 2, labels.truth, ("0", "1"))
    assert "2 classes" in str(class_label_matrix.class_labels(two))
    lacking = replace(labels, given=np.where(labels.given == 2, 1, labels.given))
    assert "got none of 2" in str(class_label_matrix.class_labels(lacking))
    alone = class_label_matrix.class_labels(replace(labels, history=None))
    assert not isinstance(alone, str)
    assert class_label_matrix.agreement_plots(alone) == [class_label_matrix.NO_COMPARISON]
    assert class_label_matrix.history_plots(alone) == [class_label_matrix.NO_HISTORY]
    assert "not confirmed" in class_label_matrix.description(alone)


@pytest.mark.parametrize("count", [30, 60])
def test_many_classes_can_be_drawn_too(count: int, matrix: ClassLabels, tmp_path: Path) -> None:
    table = np.random.default_rng(2).dirichlet(np.ones(count), count)
    labels = replace(matrix.labels, class_names=numbered_classes(count))
    drawn = class_label_matrix.matrix_figure(ClassLabels("many", table, [], labels))
    drawn.savefig(tmp_path / "many.png")
    assert len(drawn.axes[1].get_xticklabels()) == (count if count <= class_label_matrix.MAX_NAMED else 0)


def test_classes_are_shown_by_name_in_full_unless_that_is_long(matrix: ClassLabels, tmp_path: Path) -> None:
    names = ("cat", "a long-haired dachshund", "$5 <b> & $6", "猫", "_")
    named = replace(matrix, labels=replace(matrix.labels, class_names=names))
    rows = class_label_matrix.pair_table(named, 2)
    assert [tuple(row) for row in rows[["class", "and"]].to_numpy()] == [
        ("cat", "猫"),
        ("a long-haired dachshund", "_"),
    ]
    with page_style():
        drawn = class_label_matrix.matrix_figure(named)
        page = str(figures("matrix", [drawn], "names"))
    shown = set(re.findall(r"<text[^>]*>([^<]*)</text>", page))
    assert {"cat", "a long-haired d…", "$5 &lt;b&gt; &amp; $6", "猫", "_"} <= shown
