"""A document → a `Space`: what is shared reaches every arm, and what only the whole can tell is checked.

For one setting in one arm, the first of these that says anything about it decides:

    the arm's own fixed or parameters  ·  the shared parameters  ·  the shared fixed  ·
    train_on_meta: true in a baseline  ·  the default of `RunConfig`

A condition (`when`) on what an arm fixes is decided here, once for all: the parameter then exists always, or never.
"""

import math
from collections.abc import Iterator, Mapping

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from harness.space.document import ArmEntry, Document, Search
from harness.space.errors.problems import Path, complaint, complaints, quote
from harness.space.parameters import AnyParameter, CategoricalParameter, FloatParameter, Value, same
from harness.space.settings import FIELDS, METHOD
from harness.space.spec import Arm, Role, Space
from harness.space.strategies import CmaEs, NoPruner

MOST_COMBINATIONS = 100_000
"""Points of a grid in one arm; more would never be run."""

Complaints = Iterator[tuple[Path, PydanticCustomError]]
AnyParameters = Mapping[str, AnyParameter]


def resolve(document: Document) -> Space:
    """Raises ValidationError holding all that is wrong, each at its place in the document."""
    entries: list[tuple[Role, str, ArmEntry]] = [
        *(("arm", name, entry) for name, entry in document.arms.items()),
        *(("baseline", name, entry) for name, entry in document.baselines.items()),
    ]
    space = Space(
        study=document.study,
        arms=tuple(_arm(document, role, name, entry) for role, name, entry in entries),
        objectives=document.objectives or (document.objective,),
        constraints=document.constraints,
        search=_search(document),
    )
    of_arms = [
        found for arm, (_, _, entry) in zip(space.arms, entries, strict=True) for found in _of_arm(arm, entry, space)
    ]
    complaints("Space", [*of_arms, *_of_several(space)])
    return space


def _search(document: Document) -> Search:
    """With several objectives a pruner that nobody asked for is none: no study of several can be pruned."""
    search = document.search
    if document.objectives and "pruner" not in search.model_fields_set:
        return search.model_copy(update={"pruner": NoPruner(type="none")})
    return search


def _of_several(space: Space) -> Complaints:
    """What is defined for one objective alone."""
    if not space.several:
        return
    search, asked = space.search, f"{len(space.objectives)} objectives"
    if not isinstance(search.pruner, NoPruner):
        got = f"{search.pruner.type} beside {asked}"
        yield ("search", "pruner"), complaint("none, where there are several objectives", got, "write pruner: none")
    if isinstance(search.sampler, CmaEs):
        remedy = "use nsga2, tpe or gp"
        yield ("search", "sampler"), complaint("a sampler for several objectives", f"cmaes beside {asked}", remedy)
    if search.stop_when and search.stop_when.expected_improvement_below is not None:
        path = ("search", "stop_when", "expected_improvement_below")
        got = f"an expected improvement beside {asked}"
        yield path, complaint("a rule for several objectives", got, "use no_gain_trials: nothing new on the front")


def _arm(document: Document, role: Role, name: str, entry: ArmEntry) -> Arm:
    fixed = {
        **{field: info.default for field, info in FIELDS.items()},
        **({"train_on_meta": True} if role == "baseline" else {}),
        **document.fixed,
        **entry.fixed,
    }
    shared = {field: p for field, p in document.parameters.items() if field not in entry.fixed}
    parameters = _decided({**shared, **entry.parameters}, {METHOD: entry.method, **fixed})
    always = {field for field, parameter in parameters.items() if parameter.when is None}
    return Arm(
        name=name,
        role=role,
        method=entry.method,
        fixed={field: fixed[field] for field in FIELDS if field not in always},
        parameters=parameters,
        points=entry.points,
    )


def _decided(parameters: AnyParameters, fixed: Mapping[str, Value]) -> AnyParameters:
    """The parameters that can exist, with the conditions that are still open."""
    never = {
        name
        for name, parameter in parameters.items()
        if not all(_possible(other, values, parameters, fixed) for other, values in (parameter.when or {}).items())
    }
    if never:
        # What hung on one of them is decided anew, by the value that is now fixed.
        return _decided({name: p for name, p in parameters.items() if name not in never}, fixed)
    return {name: _open(parameter, parameters) for name, parameter in parameters.items()}


def _possible(other: str, values: tuple[Value, ...], parameters: AnyParameters, fixed: Mapping[str, Value]) -> bool:
    if other not in parameters:
        return same(fixed[other], values)
    return isinstance(parameters[other], FloatParameter) or any(map(parameters[other].contains, values))


def _open(parameter: AnyParameter, parameters: AnyParameters) -> AnyParameter:
    if parameter.when is None:
        return parameter
    when = {other: values for other, values in parameter.when.items() if other in parameters}
    return parameter.model_copy(update={"when": when or None})


def _of_arm(arm: Arm, entry: ArmEntry, space: Space) -> Complaints:
    place: Path = (f"{arm.role}s", arm.name)
    wrong = [*_conditions(arm, entry), *((place + path, error) for path, error in _points(arm))]
    yield from wrong
    if not wrong:
        yield from ((place, error) for error in _impossible(arm))
    yield from ((("search", "sampler"), error) for error in _unserved(arm, space.search.sampler.type))


def _conditions(arm: Arm, entry: ArmEntry) -> Complaints:
    placed: set[str] = set()
    for name, parameter in arm.parameters.items():
        own: Path = (f"{arm.role}s", arm.name) if name in entry.parameters else ()
        for other in parameter.when or {}:
            path = (*own, "parameters", name, "when", other)
            if isinstance(arm.parameters[other], FloatParameter):
                got = f"{other}, which is searched as a float"
                yield path, complaint("a fixed, int or categorical setting", got, "search it as categorical")
            elif other not in placed:
                yield (
                    path,
                    complaint("conditions without a circle", f"{other}, which hangs on {name}", "drop one"),
                )
        placed.add(name)


def _points(arm: Arm) -> Complaints:
    for position, point in enumerate(arm.points):
        for name, value in point.items():
            parameter = arm.parameters.get(name)
            if parameter is None:
                error = complaint(f"a parameter of {arm.name}", f"{name}, not searched there", "remove it")
            elif not parameter.contains(value):
                error = complaint("a value that the search could suggest", quote(value), "choose one, or widen it")
            elif not all(other not in point or same(point[other], v) for other, v in (parameter.when or {}).items()):
                error = complaint("a parameter that exists here", f"{name}, against its when", "remove it")
            else:
                continue
            yield ("points", position, name), error


def _impossible(arm: Arm) -> Iterator[PydanticCustomError]:
    """Settings that are right one by one, and wrong together: seen at both ends of every parameter."""
    seen: set[str] = set()
    for end in (_first, _last):
        try:
            arm.config(arm.draw(end))
        except ValidationError as error:
            seen.update(details["msg"].removeprefix("Value error, ") for details in error.errors())
    for message in sorted(seen):
        yield complaint("settings that go together", message, "change one of them")


def _first(name: str, parameter: AnyParameter) -> Value:
    return parameter.choices[0] if isinstance(parameter, CategoricalParameter) else parameter.low


def _last(name: str, parameter: AnyParameter) -> Value:
    return parameter.choices[-1] if isinstance(parameter, CategoricalParameter) else parameter.high


def _unserved(arm: Arm, sampler: str) -> Iterator[PydanticCustomError]:
    """What the sampler cannot search."""
    for name, parameter in arm.parameters.items():
        where = f"{arm.role}s.{arm.name}.parameters.{name}"
        if sampler == "grid" and parameter.size is None:
            yield complaint("countable values, for grid", f"a range in {where}", "give it a step, or use qmc")
        if sampler == "cmaes" and isinstance(parameter, CategoricalParameter):
            yield complaint("numbers, for cmaes", f"categories in {where}", "use tpe or gp")
        if sampler in ("grid", "cmaes") and parameter.when is not None:
            yield complaint(f"no when, for {sampler}", f"one in {where}", "use tpe or random")
    combinations = math.prod(parameter.size or 1 for parameter in arm.parameters.values())
    if sampler == "grid" and combinations > MOST_COMBINATIONS:
        got = f"{combinations:,} in {arm.role}s.{arm.name}"
        yield complaint(f"at most {MOST_COMBINATIONS:,} combinations, for grid", got, "widen the steps, or use qmc")
