"""YAML reader that keeps the line of each value.

It reads the part of YAML that a space needs: mappings with string keys, lists, strings, finite numbers, true / false
and null. Anything else (dates, tags, other keys, a key given twice, aliases that multiply) is a problem with a line,
and reading continues to find the others.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from harness.space.errors.problems import KeyPath, Origin, Problem, quote, short

MAX_VALUES = 20_000  # an alias counts each time it is used, which limits the size of the data
MAX_DEPTH = 32

SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


@dataclass
class Source:
    """Plain data, the origin of each value in it, and the problems of the text."""

    locate: Callable[[int], Origin]
    """Gives the origin of a line, counted from 1."""
    data: Any = None
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unread: set[KeyPath] = field(default_factory=set)
    """Paths whose value could not be read; None stands there, which is not validated."""

    def origin(self, path: KeyPath) -> Origin:
        """Origin of `path`, or of the nearest parent that has one."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, self.locate(1))

    def add_problem(self, path: KeyPath, expected: str, got: str, remedy: str, line: int | None = None) -> None:
        """Add a problem at `path`, on `line` if that is not the line of the path."""
        origin = self.origin(path) if line is None else self.locate(line)
        self.problems.append(Problem(path, expected, got, remedy, origin))


def read(text: str, locate: Callable[[int], Origin], json: bool = False) -> Source:
    """Read one YAML document.

    Args:
        text: the document.
        locate: gives the origin of a line, counted from 1.
        json: whether to read numbers as JSON does: YAML reads `1e-05` as a string.
    """
    source = Source(locate)
    try:
        loader = _JsonLoader(text) if json else _Loader(text)
        node = loader.get_single_node()
    except _TooDeepError as error:
        source.add_problem((), f"at most {MAX_DEPTH} levels", "deeper nesting", "flatten it", error.line)
        return source
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        expected, remedy = _syntax_remedy(error)
        source.add_problem((), expected, _found_text(error), remedy, mark.line + 1 if mark else None)
        return source
    except yaml.YAMLError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error, yaml.reader.ReaderError) else 1
        source.add_problem((), "text", "a character that YAML does not allow", "remove it", line)
        return source
    except (ValueError, OverflowError) as error:  # such as the escape "\U00110000"
        source.add_problem((), "readable YAML", str(error), "correct it")
        return source
    if node is None:
        source.origins[()] = locate(1)
    else:
        _Reader(loader, source).fill(node)
    return source


class _TooDeepError(Exception):
    def __init__(self, line: int) -> None:
        self.line = line


class _Loader(yaml.SafeLoader):
    """Pure Python loader, whose line marks are exact, with a limit on its recursion."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _TooDeepError(self.line + 1)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _JsonLoader(_Loader):
    """Loader that also reads JSON's numbers with an exponent and without a point."""


_JsonLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]+$"), list("-0123456789")
)


class _Reader:
    """Converts YAML nodes to data, and records their origins and problems."""

    def __init__(self, loader: yaml.SafeLoader, source: Source) -> None:
        self.loader = loader
        self.source = source
        self.values = 0

    def fill(self, node: yaml.Node) -> None:
        self.source.data = self._value(node, (), node.start_mark.line + 1)
        if self.values > MAX_VALUES:
            self.source.data = None
            remedy = "write less, or use fewer aliases (*name)"
            self.source.add_problem((), f"at most {MAX_VALUES:,} values", "more", remedy)

    def _value(self, node: yaml.Node, path: KeyPath, line: int) -> Any:
        self.values += 1
        # The depth also stops an alias inside the value that it names.
        if self.values > MAX_VALUES or len(path) > MAX_DEPTH:
            self.values = MAX_VALUES + 1
            return None
        self.source.origins[path] = self.source.locate(line)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return {key: self._value(value, (*path, key), at) for key, value, at in self._entries(node, path)}
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [
                self._value(item, (*path, position), item.start_mark.line + 1)
                for position, item in enumerate(node.value)
            ]
        return self._scalar(node, path)

    def _entries(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node, int]]:
        seen: dict[str, int] = {}
        for key_node, value in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                self.source.add_problem(path, "a name", "a merge (<<)", "write the keys out", line)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.source.add_problem(path, "a name as key", f"a {key_node.id} as key", "use a name", line)
                continue
            if key_node.tag != "tag:yaml.org,2002:str":
                self.source.add_problem(
                    path, "a name as key", f"the key {short(key_node.value)}, which YAML takes for another type",
                    f'write "{short(key_node.value)}"', line,
                )  # fmt: skip
                continue
            key = key_node.value
            if key in seen:
                got = f"it again after line {seen[key]}"
                self.source.add_problem((*path, key), "each key once", got, "remove one of the two", line)
                continue
            seen[key] = line
            yield key, value, line

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in SCALARS:
            kind = node.tag.rpartition(":")[2].lstrip("!") or "tag"
            expected = "a string, a number, true, false, a list or a mapping"
            return self._unread(node, path, expected, f"a {short(kind)}", "quote it, or drop its tag")
        try:
            value = self.loader.construct_object(node)
        except (ValueError, KeyError, IndexError, OverflowError, yaml.YAMLError):
            kind = node.tag.rpartition(":")[2]
            return self._unread(node, path, f"YAML type {kind}", quote(node.value), "correct it")
        if isinstance(value, float) and not math.isfinite(value):
            return self._unread(node, path, "a finite number", short(node.value), "write a number")
        return value

    def _unread(self, node: yaml.Node, path: KeyPath, expected: str, got: str, remedy: str) -> None:
        self.source.unread.add(path)
        self.source.add_problem(path, expected, got, remedy, node.start_mark.line + 1)


def _found_text(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "unreadable text"
    return problem.rpartition("but found ")[2].removeprefix("found ").replace("'<stream end>'", "its end")


def _syntax_remedy(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Guess (expected, remedy) of a syntax error."""
    problem = error.problem or ""
    if "'\\t'" in problem:
        return "spaces", "indent with spaces, not tabs"
    if "alias" in problem:
        return "an alias of something named above", "name it with &name, or write the value out"
    if "another document" in problem or "single document" in (error.context or ""):
        return "one document", "keep the part before the second ---"
    if "mapping values" in problem or "':'" in problem:
        return "`key: value` lines", "check the colon, the quotes and the indentation"
    return "readable YAML", "check the brackets, the quotes and the indentation"
