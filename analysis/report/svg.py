"""Matplotlib figures as parts of a page: SVG whose points carry their trials, in the colours of the page.

Artists whose gid is from `analysis.figures.style.trial_id` become elements with `data-trial`, and one with `axis-K`
becomes `data-axis`; the page's script reads both. Text, grid and the arms' colours become CSS variables of the page, so
that figures follow its light, dark and print styles.
"""

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.report.markup import Content, Markup, element
from analysis.report.page import note
from harness.common.formatting import as_sentence

SVG = "http://www.w3.org/2000/svg"
LINK = "http://www.w3.org/1999/xlink"
INK, GRID = "#010203", "#020304"  # no figure has these: they are replaced by the page's
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
RC = {
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


def page_style() -> AbstractContextManager[None]:
    """Figures of a report are drawn, and saved, inside this context."""
    return mpl.rc_context(RC)


def figures(name: str, drawn: Iterable[Figure | str], caption: str) -> Content:
    """Figures side by side with one caption, which is also read out; sentences in place of figures become notes.

    Args:
        name: sets the ids of these figures apart from others'.
    """
    parts = list(drawn)
    svgs = [_inline(part, f"{name}{k}", caption) for k, part in enumerate(parts) if isinstance(part, Figure)]
    notes = [note(as_sentence(part)) for part in parts if isinstance(part, str)]
    if not svgs:
        return notes
    return [
        element("div", [element("figure", svg, class_="plot") for svg in svgs], class_="figures"),
        note(caption),
        notes,
    ]


def _inline(figure: Figure, name: str, description: str) -> Markup:
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # the page's text is in the browser's fonts, which have what Matplotlib's lack
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        FigureCanvasSVG(figure)
        if (layout := figure.get_layout_engine()) is not None:  # `savefig` would draw twice: once for the layout alone
            layout.execute(figure)
            figure.set_layout_engine("none")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    root = ElementTree.fromstring(buffer.getvalue())
    for definitions in root.findall(f"{{{SVG}}}defs"):
        for sheet in definitions.findall(f"{{{SVG}}}style"):  # its `*` would hold for the whole page
            definitions.remove(sheet)
    for group in root.iter(f"{{{SVG}}}g"):
        _mark_trials(group)
    _prefix_ids(root, name)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": description}
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub(r"font-family: [^;\"]*; ?", "", text)  # the page's
    return Markup(re.sub("|".join(COLOURS), lambda match: f"var({COLOURS[match.group()]})", text))


def _mark_trials(group: ElementTree.Element) -> None:
    """Gives the points of a group `trials-3-7` their trials, in order; a line belongs to its trial as a whole."""
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


def _prefix_ids(root: ElementTree.Element, name: str) -> None:
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
