"""Reader of YAML 1.2 that keeps the line of each value.

It reads mappings with string keys, lists, strings, numbers, true / false and null. Anything else (dates, tags, other
keys, a key given twice, aliases that multiply) is a problem with a line, and reading continues to find the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from harness.space.errors.problems import KeyPath, Origin, Problem, shorten
from harness.space.yaml_file.core_schema import TAG, CoreLoader

MAX_VALUES = 20_000  # an alias counts each time it is used, which limits the size of the data

SCALARS = {TAG + name for name in ("str", "int", "float", "bool", "null")}


@dataclass
class Source:
    """Plain data, the origin of each value in it, and the problems of the text; None stands for what has a problem."""

    locate: Callable[[int], Origin]  # gives the origin of a line, counted from 1
    data: Any = None
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, path: KeyPath) -> Origin:
        """Origin of `path`, or of the nearest parent that has one."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, self.locate(1))

    def add_problem(self, path: KeyPath, expected: str, got: str, remedy: str, origin: Origin | None = None) -> None:
        self.problems.append(Problem(path, expected, got, remedy, origin or self.origin(path)))

    def replace_at(self, path: KeyPath, part: "Source") -> None:
        """Take the origins at and below `path` from `part`, whose data are put there, and add its problems."""
        self.origins = {key: origin for key, origin in self.origins.items() if key[: len(path)] != path}
        self.origins |= {(*path, *below): origin for below, origin in part.origins.items()}
        self.problems += [replace(problem, path=(*path, *problem.path)) for problem in part.problems]


def read(text: str, locate: Callable[[int], Origin]) -> Source:
    """Read one YAML document; JSON is YAML too."""
    source = Source(locate, origins={(): locate(1)})
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            loader.source = source
            source.data = loader.value(node, (), node.start_mark.line + 1)
    except (_TooManyValuesError, RecursionError):
        remedy = "write less, or use fewer aliases (*name)"
        source.add_problem((), f"at most {MAX_VALUES:,} values and few levels", "more", remedy)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = mark.line if mark else text.count("\n", 0, getattr(error, "position", 0))
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        got = problem.rpartition("but found ")[2].removeprefix("found ")
        remedy = "check the quotes, brackets, colons and indentation (spaces, not tabs)"
        source.add_problem((), "readable YAML", got, remedy, locate(line + 1))
    return source


class _TooManyValuesError(Exception):
    pass


class _Loader(CoreLoader):
    """Loader that adds origins and problems to `source`."""

    source: Source
    n_values = 0

    def value(self, node: yaml.Node, path: KeyPath, line: int) -> Any:
        self.n_values += 1
        if self.n_values > MAX_VALUES:
            raise _TooManyValuesError
        self.source.origins[path] = self.source.locate(line)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{TAG}map":
            return {key: self.value(value, (*path, key), at) for key, value, at in self._entries(node, path)}
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{TAG}seq":
            return [self.value(item, (*path, at), item.start_mark.line + 1) for at, item in enumerate(node.value)]
        try:
            if node.tag in SCALARS:
                return self.construct_object(node)
        except (ValueError, KeyError, IndexError, OverflowError, yaml.YAMLError):
            pass  # no value of its tag
        expected = "a string, a number, true, false, a list or a mapping"
        got, origin = f"YAML type {_type_name(node)}", self.source.locate(node.start_mark.line + 1)
        self.source.add_problem(path, expected, got, "correct it, quote it, or drop its tag", origin)
        return None

    def _entries(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node, int]]:
        lines: dict[str, int] = {}
        for key_node, value in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if key_node.tag != f"{TAG}str":
                got, remedy = f"a key of YAML type {_type_name(key_node)}", "quote it, or write the keys out"
                self.source.add_problem(path, "a name as key", got, remedy, self.source.locate(line))
            elif key in lines:
                got = f"it again after line {lines[key]}"
                origin = self.source.locate(line)
                self.source.add_problem((*path, key), "each key once", got, "remove one of the two", origin)
            else:
                lines[key] = line
                yield key, value, line


def _type_name(node: yaml.Node) -> str:
    return shorten(node.tag.rpartition(":")[2].lstrip("!") or "tag")
