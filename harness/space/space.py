"""Space: the search space of a study, validated and resolved."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from harness.space.arm import Arm
from harness.space.base import FrozenModel
from harness.space.constraints import Constraint
from harness.space.document import Document, Name, Objective, Search
from harness.space.errors.problems import KeyPath, Problem, SpaceError
from harness.space.errors.validation import describe
from harness.space.resolve import resolve
from harness.space.settings import methods_of

MAX_INT = 2**63 - 1  # of an int64 tensor and of the study's journal


class Space(FrozenModel):
    """A search space: arms with every setting, objectives, constraints, and how to search.

    The constructor takes the keys of a space file (docs/space.md) as Python values, and makes the same checks:

        Space(
            study="label_lr",
            fixed={"epochs": 10},
            arms={"learned": {"method": "learned", "parameters": {"label_lr": FloatParameter(low=0.1, high=9.0)}}},
            baselines={"one_hot": {"method": "one_hot"}},
            search={"trials": 12, "sampler": "random"},
        )

    Raises:
        SpaceError: with every problem of the keys.
    """

    study: Name
    arms: tuple[Arm, ...]
    objectives: Annotated[tuple[Objective, ...], Field(strict=False, min_length=1)]
    constraints: Annotated[tuple[Constraint, ...], Field(strict=False)]
    search: Search

    def __init__(self, /, **keys: Any) -> None:
        too_large = ("a number of 64 bits", "a larger one", "write a smaller number")
        problems = [Problem(path, *too_large) for path in _large_ints(keys, ())]
        if problems:
            raise SpaceError(problems)
        try:
            fields = resolve(Document.model_validate(keys, context={"methods": methods_of(keys)}))
        except ValidationError as error:
            raise SpaceError(map(_problem, error.errors())) from None
        super().__init__(**fields)

    @property
    def objective(self) -> Objective:
        """The only or first objective."""
        return self.objectives[0]

    @property
    def is_multi_objective(self) -> bool:
        """Whether the result is a Pareto front instead of one best trial."""
        return len(self.objectives) > 1

    def utilities(self, values: Iterable[float]) -> tuple[float, ...]:
        """A trial's value of each objective, with its sign changed where smaller is better."""
        return tuple(objective.sign * value for objective, value in zip(self.objectives, values, strict=True))

    def arm(self, name: str) -> Arm:
        """The arm or baseline of that name, else KeyError."""
        return {arm.name: arm for arm in self.arms}[name]

    def trials_per_arm(self) -> dict[str, int]:
        """Trials of each arm: an even share of `search.trials`; the first arms get the remainder."""
        share, remainder = divmod(self.search.trials, len(self.arms))
        return {arm.name: share + (position < remainder) for position, arm in enumerate(self.arms)}

    def with_search(self, **changes: Any) -> "Space":
        """Copy the space with other values of `search`, which are not validated."""
        return self.model_copy(update={"search": self.search.model_copy(update=changes)})


def _problem(error: ErrorDetails) -> Problem:
    return Problem(tuple(part for part in error["loc"] if part != "[key]"), *describe(error))


def _large_ints(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Paths of whole numbers of more than 64 bits."""
    if isinstance(value, dict | list | tuple):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _large_ints(below, (*path, key))
    elif isinstance(value, int) and abs(value) > MAX_INT:
        yield path
