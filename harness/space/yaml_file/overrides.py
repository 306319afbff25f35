"""Overrides, `--set key=value`: changes to the data of a space file before it is validated.

search.trials=12                            a path in the file
arms.learned.parameters.label_lr.high=3     a path of any depth
label_lr=0.3                                a setting: fixed in every arm, and searched in none
trials=12                                   a key of `search`
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from harness.common.redaction import redact_argument
from harness.space.document import Document, Search
from harness.space.errors.problems import KeyPath, Origin, shorten, suggest_name
from harness.space.settings import COMMON_FIELDS, METHOD, fields_of, methods_of
from harness.space.yaml_file.reader import Source, read
from harness.training.config.methods import METHODS

SEARCH_KEYS = tuple(name for name in Search.model_fields if name not in COMMON_FIELDS)
ARM_SECTIONS = ("arms", "baselines")
STRATEGIES = (("search", "sampler"), ("search", "pruner"))  # the name of a type may stand for a mapping there
EXCLUDED_BY: dict[KeyPath, str] = {("objective",): "objectives", ("objectives",): "objective"}


def override(source: Source, text: str) -> None:
    """Apply one override to the data of `source`, and add its problems to those of `source`."""
    origin = Origin(f"--set {shorten(redact_argument(text))}")
    key, equals, written = text.partition("=")
    path: KeyPath = tuple(key.strip().split("."))
    settings = fields_of((*METHODS, *methods_of(source.data)))
    value = read(written, lambda line: origin)
    if isinstance(value.data, str) and not written.lstrip().startswith(("'", '"')) and " #" in written:
        got, remedy = "' #', which begins a comment", f"write {key}='\"…\"', quotes within quotes"
        source.add_problem(path, "a value", got, remedy, origin)
    elif not equals or path == ("",):
        source.add_problem((), "key=value", "something else", "write --set label_lr=0.3", origin)
    elif path == (METHOD,):
        got, remedy = "method, which is an arm's own", "name the arm: arms.NAME.method=…"
        source.add_problem(path, "a setting", got, remedy, origin)
    elif len(path) == 1 and path[0] in settings:
        _fix_in_every_arm(source, str(path[0]), value)
    elif len(path) == 1 and path[0] in SEARCH_KEYS:
        _set_value(source, ("search", *path), value)
    elif path[0] in Document.model_fields:
        _set_value(source, path, value)
    else:
        remedy = suggest_name(key.strip(), [*settings, *SEARCH_KEYS, *Document.model_fields])
        got = f"the unknown key {shorten(key.strip())}"
        source.add_problem(path, "a key of the space file or a setting", got, remedy, origin)


def _set_value(source: Source, path: KeyPath, value: Source) -> None:
    """Set the value at `path`, and make the mappings above it that the file lacks."""
    origin = value.locate(1)
    if path[-1] == "type" and path[:-1] in STRATEGIES:  # the options of another type do not apply
        path, value = path[:-1], replace(value, data={"type": value.data})
    node = source.data
    for depth, key in enumerate(path[:-1]):
        if depth == 1 and path[0] in ARM_SECTIONS and key not in node:
            source.add_problem(path, f"one of the {path[0]}", shorten(str(key)), suggest_name(key, node), origin)
            return
        above, below = path[: depth + 1], node.get(key)
        if above in STRATEGIES and isinstance(below, str):
            below = {"type": below}
        elif below is None:
            below = {}
        if not isinstance(below, dict):
            got = f"something else at {'.'.join(map(str, above))}"
            source.add_problem(path, "a path through mappings", got, "set the whole of that key", origin)
            return
        source.origins.setdefault(above, origin)
        node[key] = below
        node = below
    source.data.pop(EXCLUDED_BY.get(path), None)
    node[path[-1]] = value.data
    source.replace_at(path, value)


def _fix_in_every_arm(source: Source, name: str, value: Source) -> None:
    """Fix a setting in every arm, and remove it from all parameters, points and other fixed settings."""
    for _, section in sections(source.data):
        points = section.get("points")
        for mapping in (section.get("fixed"), section.get("parameters"), *(points if isinstance(points, list) else ())):
            if isinstance(mapping, dict):
                mapping.pop(name, None)
    _set_value(source, ("fixed", name), value)


def sections(data: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Give the mappings that fix or search settings: the top, and each arm."""
    yield (), data
    for group in ARM_SECTIONS:
        entries = data.get(group)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict):
                yield (group, name), entry
