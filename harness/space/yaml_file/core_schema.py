"""Scalars of YAML 1.2 (core schema): which plain texts are null, true or false, and numbers.

PyYAML reads YAML 1.1, in which `1e-3` is a string, `010` is 8, `1:30` is 90 and `yes` is true.
"""

import re

import yaml

TAG = "tag:yaml.org,2002:"

_DIGITS = "0123456789"
_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", f"-+{_DIGITS}"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        f"-+.{_DIGITS}",
    ),
    "merge": (r"<<", "<"),  # of YAML 1.1: known, so that the error names it
}
"""Pattern of each tag, and the characters that such a text begins with; an earlier tag goes before a later one."""


class CoreLoader(yaml.SafeLoader):
    """Pure Python loader, whose line marks are exact."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own; its class adds to it)


class CoreDumper(yaml.SafeDumper):
    """Dumper that quotes strings which YAML 1.1 or 1.2 would read as something else."""


for _name, (_pattern, _first) in _SCALARS.items():
    for _class in (CoreLoader, CoreDumper):
        _class.add_implicit_resolver(TAG + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node)
    return float(text.replace(".", "") if text[-3:].lower() in ("inf", "nan") else text)


CoreLoader.add_constructor(f"{TAG}int", _whole_number)
CoreLoader.add_constructor(f"{TAG}float", _number)
