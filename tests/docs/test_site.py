"""The site of the Markdown pages, and the commands that these show."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from harness.__main__ import COMMANDS
from tests.conftest import run
from tests.docs.code_blocks import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]

_COMMAND = re.compile(r"(?:python -m harness\.|`harness )(\w+)((?: [^`|\n·]*)?)")
_OPTION = re.compile(r"(?<=\s)--[a-z][a-z-]+")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built as `make pages` builds them."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_holds_every_page_and_what_it_links_to(site: Path) -> None:
    for page in PAGES[1:]:
        assert (site / page.relative_to(ROOT).with_suffix(".html")).is_file(), page
    assert (site / "index.html").is_file()
    assert (site / "search_spaces" / "label_lr.yaml").read_bytes() == (
        ROOT / "search_spaces/label_lr.yaml"
    ).read_bytes()


def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    loading = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    assert [match for page in pages for match in loading.findall(page.read_text())] == []
    styles = list(site.rglob("*.css"))
    assert styles
    assert [
        style.name for style in styles if re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text())
    ] == []


def shown_commands() -> Iterator[tuple[str, str, str]]:
    """(page, command, its words) of each command that a page shows."""
    for page in PAGES:
        for name, words in _COMMAND.findall(page.read_text()):
            yield page.name, name, words


@cache
def help_text(command: str) -> str:
    done = run(f"harness.{command}", "--help")
    assert done.code == 0, done.all
    return done.out


def test_every_command_and_option_that_a_page_shows_exists() -> None:
    assert "python -m harness.search --space label_lr.yaml" in help_text("search"), "an example"
    assert "python -m harness.confirm label_lr" in help_text("confirm"), "an example"
    shown = list(shown_commands())
    assert {"search", "confirm", "train", "compare"} <= {name for _, name, _ in shown}
    assert [(page, name) for page, name, _ in shown if name not in COMMANDS] == []
    unknown = [
        f"{page}: harness.{name} {option}"
        for page, name, words in shown
        for option in _OPTION.findall(words)
        if option not in help_text(name)
    ]
    assert unknown == []
