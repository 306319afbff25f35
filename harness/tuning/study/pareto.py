"""The Pareto front of points, where a larger coordinate is better.

a weakly dominates b   ⇔   a_k ≥ b_k for every k
a dominates b          ⇔   a weakly dominates b, and a ≠ b
front                  =   the points that no other dominates; equal points are all on it, or none is
"""

from collections.abc import Sequence

Point = tuple[float, ...]


def weakly_dominates(a: Point, b: Point) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True))


def dominates(a: Point, b: Point) -> bool:
    return a != b and weakly_dominates(a, b)


def front_indices(points: Sequence[Point]) -> list[int]:
    """Indices of the points on the front, in descending order of the points; of equal points the first comes first.

    In that order only an earlier point can dominate a later one. Dominance is transitive, so comparing with the front
    found so far is enough: len(points) × len(front) comparisons.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=points.__getitem__, reverse=True):
        if not any(dominates(points[member], points[index]) for member in front):
            front.append(index)
    return front
