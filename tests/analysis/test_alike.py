"""Class labels as a picture: classes that lend each other mass stand together; another seed says whether it holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.figures.labels import class_similarity
from analysis.figures.labels.class_similarity import Tables
from analysis.frames import label_snapshots
from analysis.frames.label_snapshots import Labels
from analysis.frames.sweep_frame import SweepFrame, read
from harness.tracking.spool.events import SweepStarted
from harness.tracking.spool.spooled_sweep import SpooledSweep
from tests.analysis.sweeps import ALIKE, class_labelled, confirmed, recorded, searched
from tests.support.results import semantics


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> SweepFrame:
    """A confirmed sweep with class labels, from its own folder."""
    folder = tmp_path_factory.mktemp("classes") / "label_lr"
    recorded(folder, iter([*class_labelled(searched(), folder), *confirmed(folder)]))
    return read(SpooledSweep.read(folder))


@pytest.fixture(scope="module")
def found(swept: SweepFrame) -> Tables:
    labels = label_snapshots.best(swept, "class")
    tables = class_similarity.tables(labels, label_snapshots.fresh(swept, labels))
    assert isinstance(tables, Tables)
    return tables


def test_the_table_is_the_one_that_the_labels_came_from(found: Tables) -> None:
    assert found.table.shape == (5, 5)
    np.testing.assert_allclose(found.table.sum(axis=1), 1, atol=1e-6)
    for one, other, mass in ALIKE:
        assert found.table[one, other] == pytest.approx(mass, abs=1e-6)
    assert len(found.seeds) == 4


def test_classes_that_lend_each_other_mass_stand_side_by_side(found: Tables) -> None:
    order = found.order
    assert sorted(order) == list(range(5))
    for one, other, _ in ALIKE:
        assert abs(order.index(one) - order.index(other)) == 1
    assert set(found.tree[0, :2].astype(int)) == {0, 3}, "the closest join first"


def test_the_order_of_the_classes_does_not_decide_the_tree(found: Tables) -> None:
    renamed = [3, 1, 4, 0, 2]
    other = Tables(found.name, found.table[np.ix_(renamed, renamed)], [], found.labels)
    np.testing.assert_allclose(np.sort(other.tree[:, 2]), np.sort(found.tree[:, 2]), atol=1e-12)


def test_pairs_have_their_range_over_the_seeds(found: Tables) -> None:
    rows = class_similarity.pairs(found, 2)
    assert [tuple(row) for row in rows[["class", "and"]].to_numpy()] == [(0, 3), (1, 4)]
    assert list(rows["mutual_percent"]) == pytest.approx([20, 10], abs=0.001)
    third = class_similarity.pairs(found, 3).iloc[2]
    assert third["seeds_low"] < third["seeds_high"] < 1


def test_the_figure_shows_the_matrix_in_that_order_without_its_diagonal(found: Tables) -> None:
    drawn = class_similarity.figure(found)
    axes = drawn.axes[1]
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert np.isnan(np.diag(shown)).all()
    order = found.order
    assert shown[order.index(0), order.index(3)] == pytest.approx(20, abs=1e-3)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(each) for each in order]
    assert drawn.axes[2].get_ylabel().endswith("(%)")


def test_seeds_that_say_the_same_agree_and_a_renamed_reference_does_not(found: Tables) -> None:
    renamed = [2, 3, 0, 1, 4]
    rows = class_similarity.agreements(found, {"itself": found.table, "renamed": found.table[np.ix_(renamed, renamed)]})
    assert list(rows["with"]) == [*(f"fresh seed {place}" for place in range(1, 5)), "itself", "renamed"]
    by = rows.set_index("with")
    assert by.loc["itself", "rho"] == pytest.approx(1)
    assert by.loc["renamed", "rho"] < 0.5
    assert by.loc["itself", "p_value"] < 0.05
    axes = class_similarity.agreement(found).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [f"fresh seed {place}" for place in range(4, 0, -1)]


def test_the_reference_is_the_one_that_was_asked_for(found: Tables, tmp_path: Path) -> None:
    folder = tmp_path / "label_lr"
    folder.mkdir()
    reference = {"kind": "votes", "images": 60, "table": found.table.tolist()}
    semantics(reference).save(folder)
    told = SweepStarted(name="label_lr", tags={}, artifacts=(str(folder / "semantics.json"),))
    recorded(folder, iter([*class_labelled(searched(), folder), told]))
    study = read(SpooledSweep.read(folder))
    rows = class_similarity.agreements(found, class_similarity.references(study)).set_index("with")
    assert rows.loc["people's votes", "rho"] == pytest.approx(1)
    (folder / "semantics.json").write_text("{cut")
    assert class_similarity.references(study) == {}
    assert "votes" not in set(class_similarity.agreements(found, {"votes": np.eye(4)})["with"]), "of other classes"


def test_the_course_ends_at_the_mean_mass(found: Tables) -> None:
    axes = class_similarity.course(found).axes[0]
    mean = next(line for line in axes.lines if line.get_label() == "mean over classes")
    assert np.asarray(mean.get_ydata())[-1] == pytest.approx(100 * (1 - np.diag(found.table).mean()), abs=0.05)
    assert axes.get_ylabel().endswith("(%)")
    assert "over 4 fresh seeds" in class_similarity.words(found)


def test_what_has_no_class_labels_is_told_so(as_recorded: SweepFrame, found: Tables, tmp_path: Path) -> None:
    none = class_similarity.tables(label_snapshots.best(as_recorded, "class"))
    assert none == class_similarity.NONE
    for drawn in (class_similarity.figure(none), class_similarity.course(none), class_similarity.agreement(none)):
        assert drawn.axes[0].texts[0].get_text() == class_similarity.NONE
    assert class_similarity.pairs(none).empty
    assert class_similarity.agreements(none).empty
    labels = found.labels
    two = Labels("two", labels.labels[:, :2], labels.given % 2, labels.truth)
    assert "2 classes" in str(class_similarity.tables(two))
    lacking = replace(labels, given=np.where(labels.given == 2, 1, labels.given))
    assert "got none of class 2" in str(class_similarity.tables(lacking))
    alone = class_similarity.tables(replace(labels, course=None))
    assert not isinstance(alone, str)
    assert class_similarity.agreement(alone).axes[0].texts[0].get_text() == class_similarity.ALONE
    assert class_similarity.course(alone).axes[0].texts[0].get_text() == class_similarity.UNKNOWN
    assert "not confirmed" in class_similarity.words(alone)


@pytest.mark.parametrize("count", [30, 60])
def test_many_classes_can_be_drawn_too(count: int, found: Tables, tmp_path: Path) -> None:
    table = np.random.default_rng(2).dirichlet(np.ones(count), count)
    drawn = class_similarity.figure(Tables("many", table, [], found.labels))
    drawn.savefig(tmp_path / "many.png")
    assert len(drawn.axes[1].get_xticklabels()) == (count if count <= class_similarity.NAMED else 0)
