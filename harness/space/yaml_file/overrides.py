"""Overrides, `--set key=value`: changes to the data of a space file before it is validated.

search.trials=12                            a path in the file
arms.learned.parameters.label_lr.high=3     a path of any depth
label_lr=0.3                                a setting: fixed in every arm, and searched in none
trials=12                                   a key of `search`
"""

from collections.abc import Iterator
from typing import Any

from harness.common.redaction import hide
from harness.space.document import Document, Search
from harness.space.errors.problems import KeyPath, Origin, Problem, nearest, short
from harness.space.settings import FIELDS, METHOD
from harness.space.yaml_file.reader import Source, read

DOCUMENT_KEYS = tuple(Document.model_fields)
SEARCH_KEYS = tuple(name for name in Search.model_fields if name not in FIELDS)
ARM_SECTIONS = ("arms", "baselines")
STRATEGIES = (("search", "sampler"), ("search", "pruner"))
"""Paths at which the name of a type may stand for a mapping."""

OBJECTIVES = ("objective", "objectives")
"""Keys that exclude each other."""


def override(source: Source, text: str) -> None:
    """Apply one override to the data of `source`, and add its problems to those of `source`."""
    change = _Override(source, Origin(f"--set {short(hide(text))}"))
    key, equals, written = text.partition("=")
    path: KeyPath = tuple(key.strip().split("."))
    if not equals or path == ("",):
        change.add_problem((), "key=value", "something else", "write --set label_lr=0.3")
        return
    value = read(written, lambda line: change.origin)
    if value.problems:
        source.problems.extend(value.problems)
    elif path == (METHOD,):
        change.add_problem(path, "a setting", "method, which is an arm's own", "name the arm: arms.NAME.method=…")
    elif len(path) == 1 and path[0] in FIELDS:
        change.fix_in_every_arm(str(path[0]), value)
    elif len(path) == 1 and path[0] in SEARCH_KEYS:
        change.set_value(("search", *path), value)
    elif path[0] in DOCUMENT_KEYS:
        change.set_value(path, value)
    else:
        remedy = nearest(key.strip(), [*FIELDS, *SEARCH_KEYS, *DOCUMENT_KEYS])
        got = f"the unknown key {short(key.strip())}"
        change.add_problem(path, "a key of the space file or a setting", got, remedy)


class _Override:
    """One change to the data of a source, and the origin of what it sets."""

    def __init__(self, source: Source, origin: Origin) -> None:
        self.source = source
        self.origin = origin

    def add_problem(self, path: KeyPath, expected: str, got: str, remedy: str) -> None:
        self.source.problems.append(Problem(path, expected, got, remedy, self.origin))

    def set_value(self, path: KeyPath, value: Source) -> None:
        """Set the value at `path`, and make the mappings above it that the file lacks."""
        if path[-1] == "type" and path[:-1] in STRATEGIES:
            # The options of another type do not apply.
            path, value = path[:-1], Source(lambda line: self.origin, {"type": value.data}, {(): self.origin})
        node = self.source.data
        for depth, key in enumerate(path[:-1]):
            above = path[: depth + 1]
            if depth == 1 and path[0] in ARM_SECTIONS and key not in node:
                self.add_problem(path, f"one of the {path[0]}", short(str(key)), nearest(key, node))
                return
            below = node.get(key)
            if below is None:
                below = {}
                self.source.origins[above] = self.origin
            elif above in STRATEGIES and isinstance(below, str):
                below = {"type": below}
            elif not isinstance(below, dict):
                got = f"something else at {'.'.join(map(str, above))}"
                self.add_problem(path, "a path through mappings", got, "set the whole of that key")
                return
            node[key] = below
            node = below
        if len(path) == 1 and path[0] in OBJECTIVES:
            self._remove(self.source.data, (OBJECTIVES[1 - OBJECTIVES.index(path[0])],))
        self._remove(node, path)
        node[path[-1]] = value.data
        self.source.origins.update({(*path, *below): origin for below, origin in value.origins.items()})

    def _remove(self, node: dict[str, Any], path: KeyPath) -> None:
        """Remove the last key of `path` from its mapping `node`, and the origins below."""
        node.pop(str(path[-1]), None)
        for place in [place for place in self.source.origins if place[: len(path)] == path]:
            del self.source.origins[place]

    def fix_in_every_arm(self, name: str, value: Source) -> None:
        """Fix a setting in every arm, and remove it from all parameters, points and other fixed settings."""
        for path, section in sections(self.source.data):
            for key in ("fixed", "parameters"):
                if isinstance(section.get(key), dict) and name in section[key]:
                    self._remove(section[key], (*path, key, name))
            points = section.get("points")
            for point in points if isinstance(points, list) else ():
                if isinstance(point, dict):
                    point.pop(name, None)
        self.set_value(("fixed", name), value)


def sections(data: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Give the mappings that fix or search settings: the top, and each arm."""
    yield (), data
    for group in ARM_SECTIONS:
        entries = data.get(group)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                yield (group, name), entry
