"""The benchmark of wrong labels found, on short trainings."""

import math

import numpy as np
import pytest

from benchmarks import label_errors
from benchmarks.label_errors import METHODS, Scores, measure, rows


@pytest.fixture(scope="module")
def results() -> list[Scores]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(label_errors.LEARNED["digits", "symmetric"], "epochs", 25)
        patch.setitem(label_errors.ONE_HOT["digits", "symmetric"], "epochs", 3)
        return [measure("digits", "symmetric", 0.4, seed, trainings=2) for seed in range(2)]


@pytest.mark.filterwarnings("default")  # cleanlab warns of what it imports
def test_every_method_finds_wrong_labels_better_than_chance(results: list[Scores]) -> None:
    assert list(results[0]) == list(METHODS)
    for seed_results in results:
        for method, scores in seed_results.items():
            assert 0.6 < scores["average_precision"] <= 1, method
            assert 0.7 < scores["auroc"] <= 1, method
            has_cut = method.startswith("learned") or method == "find_label_issues"
            assert math.isnan(scores["precision"]) != has_cut
    assert results[0] != results[1]


@pytest.mark.filterwarnings("default")
def test_a_row_holds_means_over_the_seeds_and_the_paired_difference(results: list[Scores]) -> None:
    table = {row[0]: row for row in rows(results)}
    ours, theirs = (
        [scores[method]["average_precision"] for scores in results] for method in ("learned", "self_confidence")
    )
    assert table["learned"][1] == f"{np.mean(ours):.4f}"
    assert table["learned"][2] == ""
    assert table["self_confidence"][2].startswith(f"{np.mean(ours) - np.mean(theirs):+.4f} [")
