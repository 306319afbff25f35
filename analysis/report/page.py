"""One page that needs no network: styles and script are in it, and its own policy forbids it to load anything.

It follows the reader's light or dark setting, fits a phone, and prints in black on white.
"""

from pathlib import Path

from analysis.report.markup import Content, Markup, element, join

HERE = Path(__file__).parent
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(title: str, *content: Content, script: str | None = None, style: str | None = None) -> str:
    """A whole HTML document.

    Args:
        script, style: files beside this one: what the page's script does, and its styles beside those of every page.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        [element("style", _file(name)) for name in ("page.css", style) if name],
    )
    body = element("body", element("main", *content), element("script", _file(script)) if script else None)
    return join(Markup("<!DOCTYPE html>\n"), element("html", head, body, lang="en")) + "\n"


def _file(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))


def section(title: str, *content: Content, id_: str | None = None) -> Markup:
    return element("section", element("h2", title), *content, id_=id_)


def note(text: Content) -> Markup:
    return element("p", text, class_="note")


def listing(items: list[str]) -> Markup | None:
    """A list, or nothing where there is nothing to list."""
    return element("ul", [element("li", item) for item in items]) if items else None
