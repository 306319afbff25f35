"""Text files are UTF-8 whatever the locale is: each call that opens one names its encoding."""

import ast
from collections.abc import Iterator

from tests.conftest import ROOT

FOLDERS = ("harness", "analysis", "benchmarks")
BINARY = ("os", "opener", "Image")
"""Modules whose `open` is for bytes."""


def calls_without_encoding(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that open a file, or the output of a process, as text and leave its encoding to the locale."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or any(keyword.arg in ("encoding", None) for keyword in call.keywords):
            continue
        owner, _, name = ast.unparse(call.func).rpartition(".")
        modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        binary = owner in BINARY or any(isinstance(mode, str) and "b" in mode for mode in modes)
        if (
            (name in ("read_text", "write_text") and owner)
            or (name == "open" and not binary)
            or any(ast.unparse(keyword) == "text=True" for keyword in call.keywords)
        ):
            yield call


def test_every_text_file_is_opened_with_an_encoding() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    without_encoding = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in files
        for call in calls_without_encoding(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert without_encoding == []
