"""MkDocs hook: the site holds the repository's Markdown pages and the files that they link to, at the same paths.

So a relative link works on the site, in an editor and on a code host alike. Without the hook MkDocs would know the
files below docs/ alone.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/*.md", "analysis/*.md", "benchmarks/*.md")
"""Patterns of the Markdown pages, from the root of the repository."""

_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of docs/ by those of the repository; keep what the theme brings."""
    own = Path(config.docs_dir)
    theme = [file for file in files if file.abs_src_path is None or own not in Path(file.abs_src_path).parents]
    pages = [page for pattern in PAGES for page in sorted(ROOT.glob(pattern))]
    paths = dict.fromkeys(path.relative_to(ROOT).as_posix() for path in [*pages, *_linked_files(pages)])
    return Files([*theme, *(File(path, str(ROOT), config.site_dir, config.use_directory_urls) for path in paths)])


def _linked_files(pages: list[Path]) -> Iterator[Path]:
    for page in pages:
        for target in _LINK.findall(page.read_text()):
            linked = (page.parent / target).resolve()
            if linked.is_file() and ROOT in linked.parents:
                yield linked
