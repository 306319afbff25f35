"""Links and pictures of the Markdown pages point to files of the repository, and to headings of their pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [page for page in ROOT.rglob("*.md") if not {".venv", "runs", ".git"} & set(page.relative_to(ROOT).parts)]
LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = [
        f"{target}#{anchor}"
        for target, anchor in LINK.findall(page.read_text())
        if not (linked := page.parent / target if target else page).exists()
        or (anchor and anchor not in anchors(linked))
    ]
    assert not broken


def test_pages_with_links_are_found() -> None:
    assert sum(len(LINK.findall(page.read_text())) for page in PAGES) > 10
