"""The images whose label moved most, each under the label it was given and the one it came to.

Movement is the total variation distance from the start, ½ Σ_c |y_c - y⁰_c|: the mass that changed its class. Where the
truth is known, a tick says that the label has come to it, a cross that it has not.
"""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures import style
from analysis.frames.label_snapshots import LabelHistory, Labels

MOST = 24
ACROSS = 6
UNKNOWN = "no images were kept of this sweep (no label_history.npz)"
STILL = "no label moved"


def figure(labels: Labels | str, most: int = MOST, across: int = ACROSS, width: float = style.WIDTH) -> Figure:
    """The images in rows of `across`, or why there are none."""
    course = None if isinstance(labels, str) else labels.followed()
    if isinstance(labels, str) or course is None or "pixels" not in course:
        return _saying(labels if isinstance(labels, str) else UNKNOWN)
    moved, order = ranked(course)
    if not len(order):
        return _saying(STILL)
    order = order[:most]
    down = -(-len(order) // across)
    drawn = Figure(figsize=(width, 1.18 * width / across * down))
    plots = drawn.subplots(down, across, squeeze=False).ravel()
    for axes in plots:
        axes.set_axis_off()
    for axes, place in zip(plots, order, strict=False):
        image = pixels(course["pixels"][place])
        axes.imshow(image, cmap="gray" if image.ndim == 2 else None, interpolation="nearest")
        axes.set_title(
            caption(labels, int(course["shown"][place]), float(moved[place])), fontsize="small", pad=3, loc="left"
        )
    return drawn


def panel(labels: Labels) -> Figure | None:
    """Fewer images, for a picture that a phone can show; None where there are none."""
    course = labels.followed()
    shown = course is not None and "pixels" in course and len(ranked(course)[1])
    return figure(labels, most=16, across=4, width=style.PANEL[0]) if shown else None


def ranked(course: LabelHistory) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How far the label of each kept image moved [K], and their places by it, the farthest first; without the still."""
    places = np.searchsorted(course.rows, course["shown"])
    moved = course["moved"][-1].astype(np.float64)[places]
    order = np.argsort(-moved, kind="stable")
    return moved, order[moved[order] > 0]


def caption(labels: Labels, place: int, moved: float) -> str:
    """`3 → 8 ✓ 0.93`: given, learned, whether that is true, and how far the label moved."""
    given, learned, truth = int(labels.given[place]), int(labels.labels[place].argmax()), int(labels.truth[place])
    end = "" if truth < 0 else " ✓" if learned == truth else f" ✗{truth}"
    return f"{given}→{learned}{end}  {moved:.2f}"


def pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As it is drawn, height by width (by colour); images may come with the colours first."""
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] not in (1, 3):
        image = np.moveaxis(image, 0, 2)
    return image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image


def _saying(words: str) -> Figure:
    drawn = Figure(figsize=(style.WIDTH, 1.0))
    style.say(drawn.subplots(), words)
    return drawn
