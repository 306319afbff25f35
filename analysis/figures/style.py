"""Style of all figures: arms differ by line and marker first, by colour second, so that figures are readable in grey.

Colours are those of Okabe and Ito (2008), which the colour-blind can tell apart, in an order whose greys differ; the
colour map is cividis (Nuñez, Anderton and Renslow 2018), whose lightness rises evenly.

A module of figures describes its plots as a list of `Plot`, with a sentence in place of a plot that lacks its data.
Notebooks show them side by side (`figure`), reports one by one (`panels`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, VERMILLION, GREEN, PURPLE, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#999999"
ORANGE, SKY = "#E69F00", "#56B4E9"
COLOR_MAP = "cividis"
WIDTH = 7.0  # inches: the text width of a two-column page
PANEL_WIDTH = 4.4  # inches: a plot that a phone can show

RC: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,
    "savefig.dpi": 200,
    "font.size": 8.5,
    "axes.titlesize": 9,
    "figure.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 3,
    "legend.columnspacing": 1,
    "lines.linewidth": 1.5,
}


@dataclass(frozen=True)
class Plot:
    """One plot: what draws it, its height in inches, its width beside others (a ratio), and the legend above it."""

    draw: Callable[[Axes], object]
    height: float = 3.5
    width: float = 1
    legend_columns: int = 2
    legend_title: str = ""


Plots = Sequence[Plot | str]


@dataclass(frozen=True, slots=True)
class ArmStyle:
    """How one arm is drawn wherever it appears."""

    color: str
    linestyle: str
    marker: str


_LEARNED = ArmStyle(BLUE, "-", "o")
_BASELINES = (
    ArmStyle(VERMILLION, "--", "s"),
    ArmStyle(GREEN, "-.", "D"),
    ArmStyle(PURPLE, ":", "^"),
    ArmStyle(BLACK, "--", "v"),
    ArmStyle(ORANGE, "-.", "P"),
    ArmStyle(SKY, ":", "X"),
)


def arm_styles(learned: Iterable[str], baselines: Iterable[str]) -> dict[str, ArmStyle]:
    """A style for each arm; more than six baselines share them in turn."""
    others = {arm: _BASELINES[i % len(_BASELINES)] for i, arm in enumerate(baselines)}
    return {**dict.fromkeys(learned, _LEARNED), **others}


def apply() -> None:
    """Make this the style of every figure that follows."""
    mpl.rcParams.update(RC)


def figure(plots: Plots) -> Figure:
    """Plots side by side in the width of a page."""
    return figure_by_arm({"": plots})


def figure_by_arm(plots: Mapping[str, Plots]) -> Figure:
    """The same, a row for each arm."""
    heights = [max((plot.height for plot in row if isinstance(plot, Plot)), default=1.0) for row in plots.values()]
    whole = Figure(figsize=(WIDTH, sum(heights)))
    parts = whole.subfigures(len(plots), squeeze=False, height_ratios=heights)[:, 0]
    for part, (arm, row) in zip(parts, plots.items(), strict=True):
        if len(plots) > 1:
            part.suptitle(arm)
        widths = [plot.width if isinstance(plot, Plot) else 1 for plot in row]
        shown: set[str] = set()  # legend entries, each once in a row
        for plot, axes in zip(row, part.subplots(1, len(row), squeeze=False, width_ratios=widths)[0], strict=True):
            if isinstance(plot, str):
                axes.text(0.5, 0.5, plot, ha="center", va="center", transform=axes.transAxes, color="0.3", wrap=True)
                axes.set_axis_off()
                continue
            plot.draw(axes)
            entries = {label: handle for label, handle in _legend_entries(axes).items() if label not in shown}
            shown |= set(entries)
            _draw_legend(axes.legend, plot, entries, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return whole


def panels(plots: Iterable[Plot | str]) -> list[Figure | str]:
    """Each plot as a figure of its own; sentences as they are."""
    return [plot if isinstance(plot, str) else _panel(plot) for plot in plots]


def _panel(plot: Plot) -> Figure:
    whole = Figure(figsize=(PANEL_WIDTH, plot.height))
    axes = whole.subplots()
    plot.draw(axes)
    _draw_legend(whole.legend, plot, _legend_entries(axes), loc="outside upper center")
    return whole


def _legend_entries(axes: Axes) -> dict[str, Any]:
    """The handle of each label, in order; of a label that several artists have, the first."""
    handles, labels = axes.get_legend_handles_labels()
    entries: dict[str, Any] = {}
    for label, handle in zip(labels, handles, strict=True):
        entries.setdefault(label, handle)
    return entries


def _draw_legend(legend: Callable[..., object], plot: Plot, entries: Mapping[str, Any], **position: Any) -> None:
    if entries:
        title = plot.legend_title or None
        legend(entries.values(), entries.keys(), ncols=plot.legend_columns, title=title, **position)


def trial_id(trials: Iterable[object]) -> str:
    """The gid of an artist whose points are `trials`, in order; `analysis.report.svg` reads it."""
    return "-".join(["trials", *map(str, trials)])


def name_text(name: str, length: int) -> str:
    """A name of the user's for a figure: cut to `length` characters, its dollars no formulas."""
    short = name if len(name) <= length else f"{name[: length - 1].rstrip()}…"
    return short.replace("$", r"\$")


def epoch_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def name_rows(axes: Axes, names: Sequence[object]) -> None:
    """Names the rows at the heights 0, 1, …"""
    axes.set_yticks(range(len(names)), [str(name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis="y", visible=False)


def draw_intervals(axes: Axes, rows: pd.DataFrame, value: str, names: Sequence[object], scale: float = 1) -> None:
    """A row of the plot for each of `rows`, the first on top: a dot at `value` with its interval (`low`, `high`)."""
    rows = scale * rows[[value, "low", "high"]].iloc[::-1].reset_index(drop=True)
    lengths = [(rows[value] - rows["low"]).clip(lower=0), (rows["high"] - rows[value]).clip(lower=0)]
    axes.errorbar(rows[value], rows.index, xerr=lengths, fmt="o", color=BLUE, ecolor="0.35", capsize=2, markersize=5)
    name_rows(axes, names[::-1])
