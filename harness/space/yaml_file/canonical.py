"""Canonical form of a space: its dump as YAML, which holds every resolved value, and the differences of two spaces."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from harness.space.arm import Arm
from harness.space.errors.problems import KeyPath, format_path
from harness.space.space import Space
from harness.space.yaml_file.core_schema import CoreDumper

BUDGET: tuple[KeyPath, ...] = (
    ("study",),
    ("search", "trials"),
    ("search", "concurrency"),
    ("search", "resources"),
    ("search", "time_budget_seconds"),
    ("search", "epoch_budget"),
    ("search", "stop_when"),
)
"""Keys that may change when a sweep continues. All others define the trials themselves."""


def dump(space: Space) -> str:
    """Write the space as the text of a space file: `parse(dump(space)) == space`, also after a default changes."""
    document = _document(space)
    return str(yaml.dump(document, Dumper=CoreDumper, sort_keys=False, allow_unicode=True, width=100))


def difference(old: Space, new: Space) -> list[str]:
    """List the differences that keep `new` from continuing a sweep of `old`, one line each: `search.seed: 0 → 1`."""
    before, after = dict(_leaves(_document(old))), dict(_leaves(_document(new)))

    def value(leaves: Mapping[KeyPath, Any], path: KeyPath) -> str:
        return json.dumps(leaves[path], ensure_ascii=False).strip('"') if path in leaves else "nothing"

    return [
        f"{format_path(path)}: {value(before, path)} → {value(after, path)}"
        for path in {**before, **after}
        if before.get(path) != after.get(path) and not any(path[: len(key)] == key for key in BUDGET)
    ]


def _document(space: Space) -> dict[str, Any]:
    objectives = [objective.model_dump(mode="json") for objective in space.objectives]
    return {
        "study": space.study,
        "arms": {arm.name: _entry(arm) for arm in space.arms if arm.role == "arm"},
        "baselines": {arm.name: _entry(arm) for arm in space.arms if arm.role == "baseline"},
        **({"objectives": objectives} if space.is_multi_objective else {"objective": objectives[0]}),
        **({"constraints": list(map(str, space.constraints))} if space.constraints else {}),
        "search": space.search.model_dump(mode="json", exclude_none=True),
    }


def _entry(arm: Arm) -> dict[str, Any]:
    parameters = {
        name: parameter.model_dump(mode="json", exclude_none=True) for name, parameter in arm.parameters.items()
    }
    points = {"points": [dict(point) for point in arm.points]} if arm.points else {}
    return {"method": arm.method, "fixed": dict(arm.fixed), "parameters": parameters, **points}


def _leaves(node: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Give each value with its path; a list is one value."""
    if isinstance(node, Mapping):
        for key, below in node.items():
            yield from _leaves(below, (*path, key))
    else:
        yield path, node
