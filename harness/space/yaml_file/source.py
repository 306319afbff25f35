"""YAML text → plain data that remembers its lines.

Read here is what a space needs of YAML and no more: mappings with names for keys, lists, strings, finite numbers,
true / false and null. Everything else (dates, tags, keys that are not names, a key given twice, aliases that
multiply) is a problem with a line, and reading goes on so that the others are found too.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from harness.space.errors.problems import Origin, Path, Problem, dotted, quote, short

MOST_BYTES = 128 * 1024
MOST_VALUES = 20_000  # aliases count as often as they are used: a bomb of a few lines stops here
DEEPEST = 32
LARGEST_INT = 2**63 - 1  # what an int64 tensor and a journal can hold

SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


@dataclass
class Source:
    """Plain data with the origin of each place in it, and what was wrong with the text."""

    locate: Callable[[int], Origin]
    """The origin of a line, counted from 1."""
    data: Any = None
    origins: dict[Path, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unread: set[Path] = field(default_factory=set)
    """Places whose value could not be had; judging what stands there instead would only confuse."""

    def origin(self, path: Path) -> Origin:
        """Where `path` was written; for a place that was not written, where its nearest parent was."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, self.locate(1))

    def complain(self, path: Path, expected: str, got: str, remedy: str, line: int | None = None) -> None:
        """Note a problem at `path`, on `line` where that is not the line the path was written on."""
        origin = self.origin(path) if line is None else self.locate(line)
        self.problems.append(Problem(origin.file, origin.line, dotted(path), expected, got, remedy))

    def within(self, path: Path) -> list[Path]:
        """Every place at or below `path` that has an origin."""
        return [place for place in self.origins if place[: len(path)] == path]


def read(text: str, locate: Callable[[int], Origin], json: bool = False) -> Source:
    """Read one YAML document.

    Args:
        text: the document.
        locate: gives the origin of a line, counted from 1.
        json: whether numbers are written as JSON has them too, `1e-05`, which YAML takes for a string.
    """
    source = Source(locate)
    try:
        loader = _JsonLoader(text) if json else _Loader(text)
        node = loader.get_single_node()
    except _TooDeepError as error:
        source.complain((), f"at most {DEEPEST} levels", "deeper nesting", "flatten it", error.line)
        return source
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        expected, remedy = _syntax(error)
        source.complain((), expected, _got(error), remedy, mark.line + 1 if mark else None)
        return source
    except yaml.YAMLError as error:
        # A ReaderError: a character that YAML does not allow, such as a control character.
        line = text.count("\n", 0, error.position) + 1 if isinstance(error, yaml.reader.ReaderError) else 1
        source.complain((), "text", "a character that YAML does not allow", "remove it", line)
        return source
    except (ValueError, OverflowError) as error:  # such as an escape "\U00110000", which names no character
        source.complain((), "readable YAML", str(error), "correct it")
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
    """The pure Python loader, whose marks are exact; it recurses into what it reads, so its depth is bounded."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise _TooDeepError(self.line + 1)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _JsonLoader(_Loader):
    """JSON is YAML, but for tabs and for numbers with an exponent and no point."""


_JsonLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]+$"), list("-0123456789")
)


class _Reader:
    """Turns nodes into data, noting origins and problems on the way."""

    def __init__(self, loader: yaml.SafeLoader, source: Source) -> None:
        self.loader = loader
        self.source = source
        self.values = 0

    def fill(self, node: yaml.Node) -> None:
        self.source.data = self._value(node, (), node.start_mark.line + 1)
        if self.values > MOST_VALUES:
            self.source.data = None
            self.source.complain(
                (), f"at most {MOST_VALUES:,} values", "more", "write less, or use fewer aliases (*name)"
            )

    def _value(self, node: yaml.Node, path: Path, line: int) -> Any:
        self.values += 1
        # An alias inside what it names has no end either; the depth stops it.
        if self.values > MOST_VALUES or len(path) > DEEPEST:
            self.values = MOST_VALUES + 1
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

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, yaml.Node, int]]:
        seen: dict[str, int] = {}
        for key_node, value in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                self.source.complain(path, "a name", "a merge (<<)", "write the keys out", line)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.source.complain(path, "a name as key", f"a {key_node.id} as key", "use a name", line)
                continue
            if key_node.tag != "tag:yaml.org,2002:str":
                self.source.complain(
                    path, "a name as key", f"the key {short(key_node.value)}, which YAML takes for another type",
                    f'write "{short(key_node.value)}"', line,
                )  # fmt: skip
                continue
            key = key_node.value
            if key in seen:
                self.source.complain(
                    (*path, key),
                    "each key once",
                    f"it again after line {seen[key]}",
                    "remove one of the two",
                    line,
                )
                continue
            seen[key] = line
            yield key, value, line

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
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
        if isinstance(value, int) and abs(value) > LARGEST_INT:
            return self._unread(node, path, "a number of 64 bits", "a larger one", "write a smaller number")
        return value

    def _unread(self, node: yaml.Node, path: Path, expected: str, got: str, remedy: str) -> None:
        self.source.unread.add(path)
        self.source.complain(path, expected, got, remedy, node.start_mark.line + 1)


def _got(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "unreadable text"
    return problem.rpartition("but found ")[2].removeprefix("found ").replace("'<stream end>'", "its end")


def _syntax(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """What a syntax error probably needs, as (expected, remedy)."""
    problem = error.problem or ""
    if "'\\t'" in problem:
        return "spaces", "indent with spaces, not tabs"
    if "alias" in problem:
        return "an alias of something named above", "name it with &name, or write the value out"
    if "another document" in problem or "single document" in (error.context or ""):
        return "one document", "keep what stands before the second ---"
    if "mapping values" in problem or "':'" in problem:
        return "`key: value` lines", "check the colon, the quotes and the indentation"
    return "readable YAML", "check the brackets, the quotes and the indentation"
