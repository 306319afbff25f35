"""How figures look: told apart by line and marker first, by colour second, so that they hold in grey.

Colours are those of Okabe and Ito (2008), which the colour-blind can tell apart, in an order whose greys differ;
the colour map is cividis (Nuñez, Anderton and Renslow 2018), whose lightness rises evenly.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, PURPLE, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#999999"
ORANGE, SKY = "#E69F00", "#56B4E9"
MAP = "cividis"
WIDTH = 7.0  # inches: the text width of a two-column page
PANEL = (4.4, 3.5)  # inches: a picture of one plot, that a phone can show

RC: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "savefig.dpi": 200,
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.5,
}


@dataclass(frozen=True, slots=True)
class Pen:
    """How one arm is drawn wherever it appears."""

    color: str
    linestyle: str
    marker: str


_LEARNED = Pen(BLUE, "-", "o")
_BASELINES = (
    Pen(VERMILLION, "--", "s"),
    Pen(GREEN, "-.", "D"),
    Pen(PURPLE, ":", "^"),
    Pen(BLACK, "--", "v"),
    Pen(ORANGE, "-.", "P"),
    Pen(SKY, ":", "X"),
)


def pens(learned: Iterable[str], baselines: Iterable[str]) -> dict[str, Pen]:
    """A pen for each arm; more than six baselines share them in turn."""
    others = {arm: _BASELINES[place % len(_BASELINES)] for place, arm in enumerate(baselines)}
    return {**dict.fromkeys(learned, _LEARNED), **others}


def apply() -> None:
    """Makes this the look of every figure that follows."""
    mpl.rcParams.update(RC)


def panel(height: float = PANEL[1]) -> tuple[Figure, Axes]:
    """A picture of one plot; `height` in inches."""
    drawn = Figure(figsize=(PANEL[0], height))
    return drawn, drawn.subplots()


def marks(trials: Iterable[object]) -> str:
    """The name by which `analysis.report.svg` knows that the points of an artist are those of `trials`, in order."""
    return "-".join(["trials", *map(str, trials)])


def say(axes: Axes, words: str) -> None:
    """An empty plot that says why it is empty."""
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, color="0.3", wrap=True)
    axes.set_axis_off()
