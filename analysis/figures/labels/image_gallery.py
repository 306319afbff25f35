"""The images whose label moved most, each under its given class and its learned one.

Movement is the total variation distance from the start, ½ Σ_c |y_c - y⁰_c|: the mass that changed its class. Where the
true class is known, a tick says that the learned class is the true one, a cross that it is not.
"""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures import style
from analysis.frames.label_snapshots import Arrays, Labels
from analysis.frames.pictures import as_drawn

NO_IMAGES = "no images were kept of this sweep"
NOTHING_MOVED = "no label moved"
MAX_NAME = 8  # characters of a class's name
ONE_LINE_NAME = 3


def figure(labels: Labels | str, count: int = 24, columns: int = 6, width: float = style.WIDTH) -> Figure:
    """`count` images at most in rows of `columns`, in a figure of `width` inches."""
    drawn = _draw(labels, count, columns, width)
    return style.figure([drawn]) if isinstance(drawn, str) else drawn


def panel(labels: Labels) -> Figure | str:
    """Fewer images, for a figure that a phone can show."""
    return _draw(labels, count=16, columns=4, width=style.PANEL_WIDTH)


def _draw(labels: Labels | str, count: int, columns: int, width: float) -> Figure | str:
    history = None if isinstance(labels, str) else labels.followed()
    if isinstance(labels, str) or history is None or "pixels" not in history:
        return labels if isinstance(labels, str) else NO_IMAGES
    moved, order = by_movement(history)
    if not len(order):
        return NOTHING_MOVED
    rows = -(-min(len(order), count) // columns)
    lines = 1 if max(map(len, labels.class_names)) <= ONE_LINE_NAME else 2
    whole = Figure(figsize=(width, (1.04 + 0.14 * lines) * width / columns * rows))
    all_axes = whole.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes:
        axes.set_axis_off()
    for axes, k in zip(all_axes, order[:count], strict=False):
        image = as_drawn(history["pixels"][k])
        axes.imshow(image, cmap="gray" if image.ndim == 2 else None, interpolation="nearest")
        axes.set_title(caption(labels, int(history["shown"][k]), float(moved[k])), fontsize="small", pad=3, loc="left")
    return whole


def by_movement(history: Arrays) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How far the label of each kept image moved [K], and the indices of those that moved, the farthest first."""
    moved = history["moved"][-1].astype(np.float64)[np.searchsorted(history["rows"], history["shown"])]
    order = np.argsort(-moved, kind="stable")
    return moved, order[moved[order] > 0]


def caption(labels: Labels, i: int, moved: float) -> str:
    """`3→8 ✓  0.93`: given and learned class of image i, whether that is true, and how far the label moved.

    Names of more than a few characters stand on two lines.
    """
    names = [style.name_text(name, MAX_NAME) for name in labels.class_names]
    given, learned, truth = int(labels.given[i]), int(labels.labels[i].argmax()), int(labels.truth[i])
    mark = "" if truth < 0 else " ✓" if learned == truth else f" ✗{names[truth]}"
    if max(map(len, names)) <= ONE_LINE_NAME:
        return f"{names[given]}→{names[learned]}{mark}  {moved:.2f}"
    return f"{names[given]}→{names[learned]}\n{f'{mark}  '.lstrip()}{moved:.2f}"
