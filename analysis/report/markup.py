"""HTML in which every text is escaped, unless it is `Markup` already.

element("p", "accuracy < 1 & falling", class_="note")  →  <p class="note">accuracy &lt; 1 &amp; falling</p>
"""

import html
from collections.abc import Iterable, Sequence

from harness.common.formatting import format_interval

VOID = {"br", "hr", "img", "input", "link", "meta"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | Iterable["Content"] | None


def element(tag: str, *content: Content, **attributes: str | int | float | bool | None) -> Markup:
    """One element. Attributes lose a trailing `_`, and `_` within becomes `-`; False and None leave them out."""
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{html.escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening if tag in VOID else f"{opening}{join(*content)}</{tag}>")


def join(*content: Content) -> Markup:
    """Concatenate texts, which are escaped, and elements, which are not."""
    parts = []
    for part in content:
        if isinstance(part, Markup):
            parts.append(str(part))
        elif isinstance(part, str):
            parts.append(html.escape(part))
        elif part is not None:
            parts.append(join(*part))
    return Markup("".join(parts))


def table(
    head: Sequence[str], rows: Iterable[Sequence[Content]], numbers: Iterable[int] = (), class_: str = ""
) -> Markup:
    """A table whose first column heads its rows; `numbers` are the columns set to the right, `class_` how it looks.

    Of the class "cards" each row becomes a card where the page is narrow.
    """
    right = set(numbers)

    def cells(row: Sequence[Content], header: bool) -> Markup:
        return join(
            element(
                "th" if header or column == 0 else "td",
                cell,
                scope="col" if header else "row" if column == 0 else None,
                data_head=None if header or column == 0 else head[column],
                class_="number" if column in right else None,
            )
            for column, cell in enumerate(row)
        )

    heading = element("thead", element("tr", cells(head, True))) if any(head) else None
    body = [element("tr", cells(row, False)) for row in rows]
    whole = element("table", heading, element("tbody", body), class_=class_ or None)
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=", ".join(head[:2]))


def with_interval(value: str, ends: Sequence[float | None] | None, digits: int = 3) -> Markup:
    """A number with its interval; without where an end is not known."""
    text = format_interval(ends, digits=digits, missing="")
    return join(value, element("span", text, class_="range") if text else None)


def lines(texts: Iterable[str]) -> Markup:
    """A line each."""
    return join(*([element("br") if i else None, text] for i, text in enumerate(texts)))


def small(text: str) -> Markup | None:
    """A line of small print below."""
    return element("small", element("br"), text) if text else None
