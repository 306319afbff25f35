"""A document → a `Space`: what is shared reaches every arm, and what only the whole can tell is checked.

For one setting in one arm, the first of these that says anything about it decides:

    the arm's own fixed or parameters  ·  the shared parameters  ·  the shared fixed  ·
    train_on_meta: true in a baseline  ·  the default of `RunConfig`
"""

import math
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from harness.space.document import ArmEntry, Document
from harness.space.parameters import CategoricalParameter
from harness.space.problems import Path, complaint, complaints
from harness.space.settings import FIELDS
from harness.space.spec import Arm, Role, Space

MOST_COMBINATIONS = 100_000
"""Points of a grid in one arm; more would never be run."""

Complaints = Iterator[tuple[Path, PydanticCustomError]]


def resolve(document: Document) -> Space:
    """Raises ValidationError holding all that is wrong, each at its place in the document."""
    space = Space(
        study=document.study,
        arms=(
            *(_arm(document, name, "arm", entry) for name, entry in document.arms.items()),
            *(_arm(document, name, "baseline", entry) for name, entry in document.baselines.items()),
        ),
        objective=document.objective,
        search=document.search,
    )
    complaints("Space", _complaints(document, space))
    return space


def _arm(document: Document, name: str, role: Role, entry: ArmEntry) -> Arm:
    parameters = {**document.parameters, **entry.parameters}
    parameters = {
        field: parameters[field] for field in FIELDS if field in parameters and field not in entry.fixed
    }
    fixed = {
        **{field: info.default for field, info in FIELDS.items()},
        **({"train_on_meta": True} if role == "baseline" else {}),
        **document.fixed,
        **entry.fixed,
    }
    fixed = {field: fixed[field] for field in FIELDS if field not in parameters}
    return Arm(name=name, role=role, method=entry.method, fixed=fixed, parameters=parameters)


def _complaints(document: Document, space: Space) -> Complaints:
    for arm in space.arms:
        place: Path = (f"{arm.role}s", arm.name)
        yield from ((place, error) for error in _impossible(arm))
        yield from ((("search", "sampler"), error) for error in _unserved(arm, space.search.sampler.type))


def _impossible(arm: Arm) -> Iterator[PydanticCustomError]:
    """Settings that are right one by one, and wrong together: seen at both ends of every parameter."""
    seen: set[str] = set()
    for end in (0, -1):
        values: dict[str, Any] = {}
        for name, parameter in arm.parameters.items():
            choices = (
                parameter.choices
                if isinstance(parameter, CategoricalParameter)
                else (parameter.low, parameter.high)
            )
            values[name] = choices[end]
        try:
            arm.config(values)
        except ValidationError as error:
            seen.update(details["msg"].removeprefix("Value error, ") for details in error.errors())
    for message in sorted(seen):
        yield complaint("settings that go together", message, "change one of them")


def _unserved(arm: Arm, sampler: str) -> Iterator[PydanticCustomError]:
    """What the sampler cannot search."""
    names = {name: f"{arm.role}s.{arm.name}.parameters.{name}" for name in arm.parameters}
    if sampler == "grid":
        sizes = {name: parameter.size for name, parameter in arm.parameters.items()}
        for name, size in sizes.items():
            if size is None:
                yield complaint(
                    "values that can be counted, for grid",
                    f"a range in {names[name]}",
                    "give it a step, or use qmc",
                )
        combinations = math.prod(size for size in sizes.values() if size is not None)
        if combinations > MOST_COMBINATIONS:
            yield complaint(
                f"at most {MOST_COMBINATIONS:,} combinations, for grid",
                f"{combinations:,} in {arm.role}s.{arm.name}", "widen the steps, or use qmc",
            )  # fmt: skip
    if sampler == "cmaes":
        for name, parameter in arm.parameters.items():
            if isinstance(parameter, CategoricalParameter):
                yield complaint("numbers, for cmaes", f"categories in {names[name]}", "use tpe or gp")
