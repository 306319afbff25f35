"""How labels went over a run: a record whose size does not grow with the run's length, nor without end with its images.

    moved_i = ½ Σ_c |y_ic - y_ic(0)|          total variation distance from the start: the mass that has moved, 0 to 1

At 24 epochs at most, spread evenly from the start to the end, the course keeps each label's largest entry and how far
it has moved; of labels by class, the matrix itself. Of more than 100,000 images it follows a random subset, the same
throughout. It belongs to the state of a run: taken up from a checkpoint it goes on as it would have.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.training.data import Images

SNAPSHOTS = 24
FOLLOWED = 100_000
SHOWN = 48
SIDE = 96
"""The most pixels of a shown image's height and width; a larger one is averaged down."""

MOST_CLASSES = 1000
"""Of more classes than that the matrix is left out: it would be larger than all else that a sweep leaves."""


def marks(epochs: int) -> list[int]:
    """The epochs of the snapshots, 0 (the start) and the last among them."""
    return sorted({round(i * epochs / (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)})


class LabelHistory:
    """The course of soft labels [N, C] over a run of `epochs`.

    Args:
        start: where they begin.
        class_start: [C, C], the labels of the classes, where a class has one for all its images.
        stream: draws which images are followed.
    """

    def __init__(self, start: Tensor, class_start: Tensor | None, epochs: int, stream: torch.Generator) -> None:
        count, classes = start.shape
        rows = torch.arange(count)
        if count > FOLLOWED:
            rows = torch.randperm(count, generator=stream)[:FOLLOWED].sort().values
        self.rows = rows.to(start.device)
        self.epochs = marks(epochs)
        self._start = start[self.rows]
        shape = len(self.epochs), len(rows)
        self._largest = torch.zeros(shape, dtype=torch.uint8 if classes <= 256 else torch.int32)
        self._moved = torch.zeros(shape, dtype=torch.float16)
        self._matrices: Tensor | None = None
        if class_start is not None and classes <= MOST_CLASSES:
            self._matrices = torch.zeros(len(self.epochs), classes, classes, dtype=torch.float16)
        self.note(0, start, class_start)

    def moved(self, labels: Tensor) -> Tensor:
        """How far each label that is followed is from its start."""
        return (labels[self.rows] - self._start).abs().sum(1) / 2

    def note(self, epoch: int, labels: Tensor, class_labels: Tensor | None) -> None:
        """Keep the labels after `epoch`, if that is one to keep."""
        if epoch not in self.epochs:
            return
        place = self.epochs.index(epoch)
        self._largest[place] = labels[self.rows].argmax(1).to(self._largest)
        self._moved[place] = self.moved(labels).to(self._moved)
        if self._matrices is not None and class_labels is not None:
            self._matrices[place] = class_labels.to(self._matrices)

    def arrays(self, images: Images) -> dict[str, Any]:
        """The course of a run that has ended, as `label_history.npz` holds it.

        `epochs` [S], `rows` [n] (which of the N labels are followed: all, if there are not too many), `largest` and
        `moved` [S, n]; then `class_labels` [S, C, C], or `shown` [at most 48], the places among the N of the images
        whose labels are furthest from their start, and their `pixels` [48, channels, height, width], from 0 to 255.
        """
        rows = self.rows.cpu()
        found: dict[str, Any] = {
            "epochs": np.array(self.epochs),
            "rows": rows.numpy(),
            "largest": self._largest.numpy().astype(np.min_scalar_type(self._start.shape[1] - 1)),
            "moved": self._moved.numpy(),
        }
        if self._matrices is not None:
            return {**found, "class_labels": self._matrices.numpy()}
        furthest = self._moved[-1].argsort(descending=True, stable=True)[:SHOWN]
        shown = rows[furthest[self._moved[-1][furthest] > 0]]
        return {**found, "shown": shown.numpy(), "pixels": _bytes(images[shown.to(images.index.device)])}

    def state_dict(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self._kept().items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self._kept().items():
            tensor.copy_(state[name])

    def _kept(self) -> dict[str, Tensor]:
        kept = {"largest": self._largest, "moved": self._moved}
        return kept if self._matrices is None else {**kept, "matrices": self._matrices}


def _bytes(images: Images) -> NDArray[np.uint8]:
    """Their pixels, 0 where the darkest of all is and 255 where the brightest is."""
    pixels = images.pixels.stored[images.index].float().cpu()
    factor = -(-max(pixels.shape[2:]) // SIDE)
    if factor > 1:
        pixels = functional.avg_pool2d(pixels, factor, ceil_mode=True)
    if len(pixels):
        darkest, brightest = pixels.aminmax()
        pixels = (pixels - darkest) * (255 / (brightest - darkest).clamp(min=1e-12))
    return np.asarray(pixels.round().byte().numpy())
