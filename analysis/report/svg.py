"""A matplotlib figure as a piece of a page: SVG whose points know their trials, in the colours of the page.

Artists named by `analysis.figures.style.marks` become elements with `data-trial`, and one named `axis-K` becomes
`data-axis`; the page's script answers to both. Ink, grid and the arms' colours become the page's own variables, so
that a figure follows it into the dark and onto paper.
"""

import io
import re
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.report.markup import Markup, element, join
from analysis.report.page import note

SVG = "http://www.w3.org/2000/svg"
LINK = "http://www.w3.org/1999/xlink"
INK, GRID = "#010203", "#020304"  # no figure has these: they stand for the page's
COLOURS = {
    INK: "--ink",
    GRID: "--grid",
    "#000000": "--ink",
    "#262626": "--ink",
    "#4d4d4d": "--soft",
    "#bfbfbf": "--faint",
    style.BLUE.lower(): "--blue",
    style.VERMILLION.lower(): "--vermillion",
    style.GREEN.lower(): "--green",
    style.PURPLE.lower(): "--purple",
}
LOOK = {
    **style.RC,
    "font.size": 9.5,
    "legend.fontsize": 8.5,
    "axes.titlesize": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "soft labels",  # the same figure is the same text
}


def figures(draw: Callable[[], list[Figure]], name: str, caption: str, otherwise: str = "") -> Markup | None:
    """The figures side by side with one caption; `otherwise` where there are none."""
    drawn = pictures(draw, name, caption)
    if not drawn:
        return note(otherwise) if otherwise else None
    plots = [element("figure", each, class_="plot") for each in drawn]
    return join(element("div", plots, class_="figures"), note(caption))


def some(figure: Figure | None) -> list[Figure]:
    return [] if figure is None else [figure]


def pictures(draw: Callable[[], list[Figure]], name: str, describe: str) -> list[Markup]:
    """What `draw` draws, each as an inline SVG; `name` sets its ids apart from others', `describe` is read out."""
    with mpl.rc_context(LOOK):
        return [_inline(figure, f"{name}{place}", describe) for place, figure in enumerate(draw())]


def _inline(figure: Figure, name: str, describe: str) -> Markup:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    root = ElementTree.fromstring(buffer.getvalue())
    for definitions in root.findall(f"{{{SVG}}}defs"):
        for sheet in definitions.findall(f"{{{SVG}}}style"):  # its `*` would hold for the whole page
            definitions.remove(sheet)
    for group in root.iter(f"{{{SVG}}}g"):
        _tell_trials(group)
    _set_apart(root, name)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": describe}
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub(r"font-family: [^;\"]*; ?", "", text)  # the page's
    return Markup(re.sub("|".join(COLOURS), lambda found: f"var({COLOURS[found.group()]})", text))


def _tell_trials(group: ElementTree.Element) -> None:
    """Gives the points of a group named `trials-3-7` their trials, in order; a line is its trial's as a whole."""
    kind, *trials = group.get("id", "").split("-")
    if kind == "axis":
        group.set("data-axis", trials[0])
    if kind != "trials":
        return
    if len(trials) == 1:
        group.set("data-trial", trials[0])
    else:
        for point, trial in zip(_points(group), trials, strict=True):
            point.set("data-trial", trial)
    del group.attrib["id"]


def _points(node: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for child in node:
        if child.tag in (f"{{{SVG}}}use", f"{{{SVG}}}path"):
            yield child
        elif child.tag != f"{{{SVG}}}defs":
            yield from _points(child)


def _set_apart(root: ElementTree.Element, name: str) -> None:
    """Puts `name` before every id that something refers to, and drops the others."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", text))
    for node in root.iter():
        identity = node.get("id")
        if identity is not None:
            if identity in used:
                node.set("id", f"{name}-{identity}")
            else:
                del node.attrib["id"]
        for key, value in node.attrib.items():
            if key.endswith("href") and value.startswith("#"):
                node.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                node.set(key, value.replace("url(#", f"url(#{name}-"))
