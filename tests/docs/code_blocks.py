"""Code blocks of a Markdown page; those of Python run from top to bottom in one namespace."""

import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class CodeBlock(NamedTuple):
    line: int  # of the page, from 1: the first line of the code
    code: str


def code_blocks(page: Path) -> list[CodeBlock]:
    """The blocks of a page that are marked as Python, in their order."""
    text = page.read_text()
    return [CodeBlock(text.count("\n", 0, match.start(1)) + 1, match[1]) for match in _BLOCK.finditer(text)]


def blocks(page: Path, language: str) -> list[str]:
    """The texts of the fenced blocks of a language, "" for those without one, in their order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def run_page(page: Path) -> dict[str, Any]:
    """Run all blocks of a page and return their namespace; a traceback names the page and its line."""
    namespace: dict[str, Any] = {"__name__": page.stem}
    for line, code in code_blocks(page):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
    return namespace
