"""A space as a sweep keeps it, and what tells two of them apart.

`dump` writes all that was resolved, in the form of a space file, so that `load(dump(space)) == space`: a sweep can be
run again from what it left behind, and defaults that change later change nothing in it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from harness.space.errors.problems import Path, dotted
from harness.space.spec import Arm, Space

BUDGET: tuple[Path, ...] = (
    ("study",),  # a name asks nothing
    ("search", "trials"),
    ("search", "concurrency"),
    ("search", "resources"),
    ("search", "time_budget_seconds"),
    ("search", "epoch_budget"),
    ("search", "stop_when"),
)
"""What may change when a sweep goes on: how much is spent on the question, and where. All else is the question."""


def dump(space: Space) -> str:
    """The space as the text of a space file, canonical: equal spaces give equal texts."""
    return yaml.safe_dump(_document(space), sort_keys=False, allow_unicode=True, width=100)


def difference(old: Space, new: Space) -> list[str]:
    """What `new` asks otherwise than `old`, a line each: `search.seed: 0 → 1`. Empty: the one continues the other."""
    before, after = _flat(_document(old)), _flat(_document(new))
    return [
        f"{dotted(path)}: {_written(before, path)} → {_written(after, path)}"
        for path in [*before, *(path for path in after if path not in before)]
        if before.get(path) != after.get(path) and not any(path[: len(part)] == part for part in BUDGET)
    ]


def _document(space: Space) -> dict[str, Any]:
    return {
        "study": space.study,
        "arms": {arm.name: _entry(arm) for arm in space.arms if arm.role == "arm"},
        "baselines": {arm.name: _entry(arm) for arm in space.arms if arm.role == "baseline"},
        **_objectives(space),
        **({"constraints": list(map(str, space.constraints))} if space.constraints else {}),
        "search": space.search.model_dump(mode="json", exclude_none=True),
    }


def _objectives(space: Space) -> dict[str, Any]:
    written = [objective.model_dump(mode="json") for objective in space.objectives]
    return {"objectives": written} if space.several else {"objective": written[0]}


def _entry(arm: Arm) -> dict[str, Any]:
    parameters = {
        name: parameter.model_dump(mode="json", exclude_none=True) for name, parameter in arm.parameters.items()
    }
    points = {"points": [dict(point) for point in arm.points]} if arm.points else {}
    return {"method": arm.method, "fixed": dict(arm.fixed), "parameters": parameters, **points}


def _written(flat: Mapping[Path, Any], path: Path) -> str:
    return json.dumps(flat[path], ensure_ascii=False).strip('"') if path in flat else "nothing"


def _flat(node: Any, path: Path = ()) -> dict[Path, Any]:
    """Each value by its path; a list is one value."""
    return dict(_leaves(node, path))


def _leaves(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if not isinstance(node, Mapping):
        yield path, node
        return
    for key, below in node.items():
        yield from _leaves(below, (*path, key))
