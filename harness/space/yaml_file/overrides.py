"""`--set key=value`: one change to a space file, made before it is validated.

search.trials=12                            a path in the file
arms.learned.parameters.label_lr.high=3     as deep as it goes
label_lr=0.3                                a setting of a run: fixed so in every arm, and searched in none
trials=12                                   a key of `search`
"""

from collections.abc import Iterator
from typing import Any

from harness.common.redaction import hide
from harness.space.document import Document, Search
from harness.space.errors.problems import Origin, Path, Problem, nearest, short
from harness.space.settings import FIELDS, METHOD
from harness.space.yaml_file.source import Source, read

TOP = tuple(Document.model_fields)
SECTIONS = ("arms", "baselines")
LEAVES = tuple(name for name in Search.model_fields if name not in FIELDS)
NAMED = (("search", "sampler"), ("search", "pruner"))
"""Where a kind's name alone may stand for the mapping that names it."""

OBJECTIVES: tuple[Path, Path] = (("objective",), ("objectives",))
"""Each stands in place of the other."""


def override(source: Source, text: str) -> None:
    """Make one change to the data of `source`; what is wrong with it joins the problems of the source."""
    here = Origin(f"--set {short(hide(text))}")
    key, equals, written = text.partition("=")
    key = key.strip()
    change = _Change(source, here)
    if not equals or not key:
        change.complain("", "key=value", "something else", "write --set label_lr=0.3")
        return
    value = read(written, lambda line: here)
    source.problems.extend(value.problems)
    if value.problems:
        return
    path = tuple(key.split("."))
    if path == (METHOD,):
        change.complain(key, "a setting", "method, which is an arm's own", "name the arm: arms.NAME.method=…")
    elif len(path) == 1 and key in FIELDS:
        change.fix_everywhere(key, value)
    elif len(path) == 1 and key in LEAVES:
        change.put(("search", key), value)
    elif path[0] in TOP:
        change.put(path, value)
    else:
        close = nearest(key, [*FIELDS, *LEAVES, *TOP])
        change.complain(key, "a key of the space file or a setting", f"the unknown key {short(key)}", close)


class _Change:
    def __init__(self, source: Source, here: Origin) -> None:
        self.source = source
        self.here = here

    def complain(self, key: str, expected: str, got: str, remedy: str) -> None:
        problem = Problem(self.here.file, None, short(key), expected, got, remedy)
        self.source.problems.append(problem)

    def put(self, path: Path, value: Source) -> None:
        """Set what stands at `path`; the mappings on the way are made where the file has none."""
        if path[-1] == "type" and path[:-1] in NAMED:
            # The options of one kind mean nothing to another.
            path, value = path[:-1], Source(lambda line: self.here, {"type": value.data}, {(): self.here})
        node = self.source.data
        for depth, part in enumerate(path[:-1]):
            if depth == 1 and path[0] in SECTIONS and part not in node:
                self.complain(
                    ".".join(map(str, path)),
                    f"one of the {path[0]}",
                    short(str(part)),
                    nearest(str(part), node),
                )
                return
            below = node.get(part)
            if below is None:
                below = {}
                self.source.origins[path[: depth + 1]] = self.here
            elif path[: depth + 1] in NAMED and isinstance(below, str):
                below = {"type": below}
            elif not isinstance(below, dict):
                self.complain(
                    ".".join(map(str, path)), "a path through mappings",
                    f"something else at {'.'.join(map(str, path[: depth + 1]))}", "set that key whole",
                )  # fmt: skip
                return
            node[part] = below
            node = below
        if path in OBJECTIVES:
            other = OBJECTIVES[1 - OBJECTIVES.index(path)]
            node.pop(other[-1], None)
            self.forget(other)
        self.forget(path)
        node[path[-1]] = value.data
        self.source.origins.update({(*path, *below): origin for below, origin in value.origins.items()})

    def forget(self, path: Path) -> None:
        for place in self.source.within(path):
            del self.source.origins[place]

    def fix_everywhere(self, name: str, value: Source) -> None:
        """Fix one setting for every arm, whatever the file does with it."""
        for path, section in sections(self.source.data):
            for part in ("fixed", "parameters"):
                if isinstance(section.get(part), dict) and name in section[part]:
                    del section[part][name]
                    self.forget((*path, part, name))
            # A point may speak only of what is searched.
            points = section.get("points")
            for point in points if isinstance(points, list) else ():
                if isinstance(point, dict):
                    point.pop(name, None)
        self.put(("fixed", name), value)


def sections(data: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Where settings are fixed or searched: the top, and each arm."""
    yield (), data
    for group in SECTIONS:
        entries = data.get(group)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                yield (group, name), entry
