"""Resolution of a document: shared settings and parameters reach every arm, and checks across keys are made.

A setting of an arm is taken from the first of these that names it: the arm's own fixed or parameters; the shared
parameters; the shared fixed; `train_on_meta: true` in a baseline; the default. A shared parameter of a method reaches
the arms whose method has it.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from harness.space.arm import Arm, Role
from harness.space.base import Value
from harness.space.constraints import names_for
from harness.space.document import MAIN_METRICS, ArmEntry, Document, Objective, Search
from harness.space.errors.problems import KeyPath, quote, shorten, suggest_name
from harness.space.errors.validation import Errors, invalid, raise_all
from harness.space.parameters import AnyParameter, CategoricalParameter, FloatParameter, is_one_of
from harness.space.settings import METHOD, fields_of
from harness.space.strategies import CmaEs, NoPruner
from harness.training.config.run_config import default_settings

MAX_COMBINATIONS = 100_000
"""Points of an arm's grid."""

AnyParameters = Mapping[str, AnyParameter]


def resolve(document: Document) -> dict[str, Any]:
    """Make the fields of a `Space`, else raise ValidationError with every error at its path in the document."""
    raise_all(_contradictions(document))
    search = document.search
    if document.objectives and "pruner" not in search.model_fields_set:  # several cannot be pruned
        search = search.model_copy(update={"pruner": NoPruner()})
    arms, errors = [], [*_objective_errors(document, search), *_constraint_errors(document)]
    for role, name, entry in _entries(document):
        arms.append(_arm(document, role, name, entry))
        errors += _arm_errors(arms[-1], entry, search.sampler.type)
    raise_all(errors)
    return {
        "study": document.study,
        "arms": tuple(arms),
        "objectives": document.objectives or (document.objective,),
        "constraints": document.constraints,
        "search": search,
    }


def _entries(document: Document) -> Iterator[tuple[Role, str, ArmEntry]]:
    yield from (("arm", name, entry) for name, entry in document.arms.items())
    yield from (("baseline", name, entry) for name, entry in document.baselines.items())


def _contradictions(document: Document) -> Errors:
    """Errors for settings, objectives or names that a document gives twice."""
    sections: list[tuple[KeyPath, Document | ArmEntry]] = [((), document)]
    sections += [((f"{role}s", name), entry) for role, name, entry in _entries(document)]
    for path, section in sections:
        for name, parameter in section.parameters.items():
            if name in section.fixed and not parameter.when:  # otherwise fixed while it is inactive
                error = invalid("a setting fixed or searched", "both", "remove it from one of the two")
                yield (*path, "parameters", name), error
    if {"objective", "objectives"} <= document.model_fields_set:
        yield ("objectives",), invalid("objective or objectives", "both", "remove one of the two")
    for name in document.baselines:
        if name in document.arms:
            yield ("baselines", name), invalid("a name of its own", "the name of an arm", "rename one of the two")


def _objective_errors(document: Document, search: Search) -> Errors:
    """Errors for invalid objectives, and for options that exclude several objectives."""
    objectives = document.objectives
    if not objectives and "objectives" not in document.model_fields_set:
        yield from _main_metric_errors(document.objective, ("objective", "metric"))
        return
    if len(objectives) < 2:
        got = "one" if objectives else "none"
        yield ("objectives",), invalid("two objectives or more", got, "write objective: {metric: …}")
        return
    yield from _main_metric_errors(objectives[0], ("objectives", 0, "metric"))
    metrics = [objective.metric for objective in objectives]
    for position, metric in enumerate(metrics):
        if metric in metrics[:position]:
            error = invalid("each metric once", f"{metric} again", "remove one of the two")
            yield ("objectives", position, "metric"), error
    beside = f"beside {len(objectives)} objectives"
    if not isinstance(search.pruner, NoPruner):
        got = f"{search.pruner.type} {beside}"
        yield ("search", "pruner"), invalid("none, where there are several objectives", got, "write pruner: none")
    if isinstance(search.sampler, CmaEs):
        error = invalid("a sampler for several objectives", f"cmaes {beside}", "use nsga2, tpe or gp")
        yield ("search", "sampler"), error
    if search.stop_when and search.stop_when.expected_improvement_below is not None:
        got, remedy = f"an expected improvement {beside}", "use no_gain_trials, which watches the Pareto front"
        path = ("search", "stop_when", "expected_improvement_below")
        yield path, invalid("a condition for several objectives", got, remedy)


def _constraint_errors(document: Document) -> Errors:
    known = names_for(entry.method for _, _, entry in _entries(document))
    for position, constraint in enumerate(document.constraints):
        for name in sorted(constraint.names.difference(known)):
            error = invalid("a setting that is a number, or a metric", shorten(name), suggest_name(name, known))
            yield ("constraints", position), error


def _main_metric_errors(objective: Objective, path: KeyPath) -> Errors:
    if objective.metric not in MAIN_METRICS:
        remedy = "write one of these first and this one second, under objectives"
        yield path, invalid(" or ".join(MAIN_METRICS), objective.metric, remedy)


def _arm(document: Document, role: Role, name: str, entry: ArmEntry) -> Arm:
    fields = fields_of((entry.method,))  # the shared sections may hold parameters of other arms' methods
    fixed = {
        **default_settings(entry.method),
        **({"train_on_meta": True} if role == "baseline" else {}),
        **{field: value for field, value in document.fixed.items() if field in fields},
        **entry.fixed,
    }
    shared = {
        field: parameter
        for field, parameter in document.parameters.items()
        if field in fields and field not in entry.fixed
    }
    parameters = _decide_conditions({**shared, **entry.parameters}, {**fixed, METHOD: entry.method})
    always_active = {field for field, parameter in parameters.items() if parameter.when is None}
    return Arm(
        name=name,
        role=role,
        method=entry.method,
        fixed={field: fixed[field] for field in fields if field not in always_active},
        parameters=parameters,
        points=entry.points,
    )


def _decide_conditions(parameters: AnyParameters, fixed: Mapping[str, Value]) -> AnyParameters:
    """Decide conditions on what the arm fixes: drop parameters that are never active, and conditions that hold."""

    def is_possible(other: str, values: tuple[Value, ...]) -> bool:
        if other not in parameters:
            return other in fixed and is_one_of(fixed[other], values)  # another method's parameter: never
        return isinstance(parameters[other], FloatParameter) or any(map(parameters[other].contains, values))

    possible = {
        name: parameter
        for name, parameter in parameters.items()
        if all(is_possible(other, values) for other, values in (parameter.when or {}).items())
    }
    if len(possible) < len(parameters):
        return _decide_conditions(possible, fixed)  # conditions on a dropped parameter: by its fixed value
    for name, parameter in possible.items():
        undecided = {other: values for other, values in (parameter.when or {}).items() if other in parameters}
        possible[name] = parameter.model_copy(update={"when": undecided or None})
    return possible


def _arm_errors(arm: Arm, entry: ArmEntry, sampler: str) -> Errors:
    path: KeyPath = (f"{arm.role}s", arm.name)
    errors = [*_condition_errors(arm, entry), *((path + below, error) for below, error in _point_errors(arm))]
    yield from errors
    if not errors:
        yield from ((path, error) for error in _combination_errors(arm))
    yield from ((("search", "sampler"), error) for error in _sampler_errors(arm, sampler))


def _condition_errors(arm: Arm, entry: ArmEntry) -> Errors:
    before: set[str] = set()
    for name, parameter in arm.parameters.items():
        section: KeyPath = (f"{arm.role}s", arm.name) if name in entry.parameters else ()
        for other in parameter.when or {}:
            path = (*section, "parameters", name, "when", other)
            if isinstance(arm.parameters[other], FloatParameter):
                got = f"{other}, which is searched as a float"
                yield path, invalid("a fixed, int or categorical setting", got, "search it as categorical")
            elif other not in before:
                yield path, invalid("conditions without a cycle", f"{other}, which depends on {name}", "drop one")
        before.add(name)


def _point_errors(arm: Arm) -> Errors:
    for position, point in enumerate(arm.points):
        for name, value in point.items():
            parameter = arm.parameters.get(name)
            if parameter is None:
                error = invalid(f"a parameter of {arm.name}", f"{name}, not searched there", "remove it")
            elif not parameter.contains(value):
                remedy = "choose another, or extend the parameter"
                error = invalid("a value that the search could suggest", quote(value), remedy)
            elif not parameter.is_active(point):
                error = invalid("an active parameter", f"{name}, against its when", "remove it")
            else:
                continue
            yield ("points", position, name), error


def _combination_errors(arm: Arm) -> Iterator[PydanticCustomError]:
    """Settings that are valid one by one, but not together: checked at both ends of every parameter."""
    messages: set[str] = set()
    for position in (0, -1):
        try:
            arm.config(arm.sample(lambda name, parameter: parameter.ends[position]))  # noqa: B023  (called at once)
        except ValidationError as error:
            messages.update(details["msg"].removeprefix("Value error, ") for details in error.errors())
    for message in sorted(messages):
        yield invalid("settings that go together", message, "change one of them")


def _sampler_errors(arm: Arm, sampler: str) -> Iterator[PydanticCustomError]:
    """Parameters that the sampler cannot search."""
    for name, parameter in arm.parameters.items():
        where = f"{arm.role}s.{arm.name}.parameters.{name}"
        if sampler == "grid" and parameter.size is None:
            yield invalid("countable values, for grid", f"a range in {where}", "give it a step, or use qmc")
        if sampler == "cmaes" and isinstance(parameter, CategoricalParameter):
            yield invalid("numbers, for cmaes", f"categories in {where}", "use tpe or gp")
        if sampler in ("grid", "cmaes") and parameter.when is not None:
            yield invalid(f"no when, for {sampler}", f"one in {where}", "use tpe or random")
    combinations = math.prod(parameter.size or 1 for parameter in arm.parameters.values())
    if sampler == "grid" and combinations > MAX_COMBINATIONS:
        got = f"{combinations:,} in {arm.role}s.{arm.name}"
        yield invalid(f"at most {MAX_COMBINATIONS:,} combinations, for grid", got, "widen the steps, or use qmc")
