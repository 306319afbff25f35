"""The Pareto front, by what it means: nobody on it is dominated, and everybody else is."""

import itertools
import random

import pytest

from harness.tuning.study.pareto import Point, dominates, front_indices, weakly_dominates


def clouds() -> list[list[Point]]:
    """Points in two to four dimensions, on coarse grids: many are equal, in one coordinate or in all."""
    draw = random.Random(7)
    return [
        [tuple(float(draw.randrange(levels)) for _ in range(dimensions)) for _ in range(draw.randrange(1, 60))]
        for dimensions in (1, 2, 3, 4)
        for levels in (2, 5, 40)
        for _ in range(5)
    ]


@pytest.mark.parametrize("points", clouds())
def test_no_member_is_dominated_and_every_other_is_by_a_member(points: list[Point]) -> None:
    members = [points[place] for place in front_indices(points)]
    others = [point for place, point in enumerate(points) if place not in set(front_indices(points))]
    assert members
    assert not any(dominates(point, member) for member in members for point in points)
    assert all(any(dominates(member, other) for member in members) for other in others)


@pytest.mark.parametrize("points", clouds()[:10])
def test_the_front_comes_best_first_and_of_equals_in_their_order(points: list[Point]) -> None:
    places = front_indices(points)
    assert [points[place] for place in places] == sorted((points[place] for place in places), reverse=True)
    assert all(a < b for a, b in itertools.pairwise(places) if points[a] == points[b])


def test_dominance_is_strict_and_weak_dominance_is_not() -> None:
    assert weakly_dominates((1.0, 2.0), (1.0, 2.0))
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert dominates((1.0, 2.0), (1.0, 1.0))
    assert not weakly_dominates((1.0, 2.0), (0.0, 3.0))
    assert front_indices([]) == []
    assert front_indices([(1.0,), (3.0,), (2.0,), (3.0,)]) == [1, 3], "equal points are all on the front"
