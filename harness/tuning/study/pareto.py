"""The Pareto front of points whose every coordinate is better the larger it is.

a dominates b   ⇔   a_k ≥ b_k for every k, and a_k > b_k for one
front           =   the points that no other dominates; equal points are on it together, or not at all
"""

from collections.abc import Sequence

Point = tuple[float, ...]


def as_good(one: Point, other: Point) -> bool:
    """Whether `one` is at least as good as `other` in every coordinate."""
    return all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def dominates(one: Point, other: Point) -> bool:
    return one != other and as_good(one, other)


def front(points: Sequence[Point]) -> list[int]:
    """The places of the points on the front: best first in the first coordinate, then the next; of equals the first.

    In that order a point can be dominated by an earlier one alone, and so, dominance being transitive, by one that was
    kept: len(points) × len(front) comparisons.
    """
    kept: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: points[place], reverse=True):
        if not any(dominates(points[member], points[place]) for member in kept):
            kept.append(place)
    return kept
