"""Space: the search space of a study, validated and resolved."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Required

from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict, Unpack

from harness.space.arm import Arm
from harness.space.base import FrozenModel, Value
from harness.space.constraints import Constraint
from harness.space.document import ArmEntry, Document, Name, Objective, Search
from harness.space.errors.explain import explain
from harness.space.errors.problems import KeyPath, Problem, SpaceError
from harness.space.parameters import AnyParameter
from harness.space.resolve import resolve

MAX_INT = 2**63 - 1  # of an int64 tensor and of the study's journal

Keys = Mapping[str, Any]


class SpaceKeys(TypedDict, total=False):
    """Keys of a space, described in docs/space.md."""

    study: Required[str]
    fixed: Mapping[str, Value]
    parameters: Mapping[str, AnyParameter | Keys]
    arms: Required[Mapping[str, ArmEntry | Keys]]
    baselines: Mapping[str, ArmEntry | Keys]
    objective: Objective | Keys
    objectives: Iterable[Objective | Keys]
    constraints: Iterable[Constraint | str]
    search: Search | Keys


class Space(FrozenModel):
    """A search space: arms with every setting, objectives, constraints, and how to search.

    The constructor takes the keys of a space file as Python values, and makes the same checks:

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

    def __init__(self, /, **keys: Unpack[SpaceKeys]) -> None:
        too_large: list[KeyPath] = []
        document = _without_large_ints(keys, (), too_large)
        problems = [
            Problem(path, "a number of 64 bits", "a larger one", "write a smaller number") for path in too_large
        ]
        problems += _contradictions(document)
        try:
            fields = resolve(Document.model_validate(document))
        except ValidationError as error:
            problems += (each for each in explain(error.errors(), document) if each.path not in too_large)
        if problems:
            raise SpaceError(problems)
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
        each, remainder = divmod(self.search.trials, len(self.arms))
        return {arm.name: each + (position < remainder) for position, arm in enumerate(self.arms)}

    def with_search(self, **changes: Any) -> "Space":
        """Copy the space with other values of `search`, which are not validated."""
        return self.model_copy(update={"search": self.search.model_copy(update=changes)})


def _without_large_ints(value: Any, path: KeyPath, too_large: list[KeyPath]) -> Any:
    """Replace whole numbers of more than 64 bits by None, and append their paths to `too_large`."""
    if isinstance(value, dict):
        return {key: _without_large_ints(each, (*path, key), too_large) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_large_ints(each, (*path, position), too_large) for position, each in enumerate(value)]
    if isinstance(value, int) and abs(value) > MAX_INT:
        too_large.append(path)
        return None
    return value


def _contradictions(document: Any) -> Iterator[Problem]:
    """Find what a document gives twice. It need not be valid, so that no other problem hides these."""
    arms, baselines = _mapping(document, "arms"), _mapping(document, "baselines")
    sections: list[tuple[KeyPath, Any]] = [
        ((), document),
        *((("arms", name), arm) for name, arm in arms.items()),
        *((("baselines", name), arm) for name, arm in baselines.items()),
    ]
    for path, section in sections:
        fixed, parameters = _mapping(section, "fixed"), _mapping(section, "parameters")
        for name in filter(parameters.__contains__, fixed):
            # A parameter with `when` may be fixed too: that value holds while it is inactive.
            if not _mapping(parameters[name], "when"):
                where = (*path, "parameters", name)
                yield Problem(where, "a setting fixed or searched", "both", "remove it from one of the two")
    if "objective" in document and "objectives" in document:
        yield Problem(("objectives",), "objective or objectives", "both", "remove one of the two")
    for name in filter(baselines.__contains__, arms):
        yield Problem(("baselines", name), "a name of its own", "the name of an arm", "rename one of the two")


def _mapping(node: Any, key: str) -> dict[str, Any]:
    """The mapping at a key of a mapping or a model; empty if there is none."""
    value = node.get(key) if isinstance(node, dict) else getattr(node, key, None) if isinstance(node, BaseModel) else {}
    return value if isinstance(value, dict) else {}
