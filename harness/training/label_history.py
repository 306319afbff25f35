"""History of the soft labels over a run, bounded in size.

    moved_i = ½ Σ_c |y_ic - y_ic(0)|          total variation distance from the start: the mass that has moved, 0 to 1

At 24 epochs at most, spread evenly from the start to the end, the history records the largest entry of each label and
its distance moved; for labels by class, the matrix itself. Of more than 100,000 images it records a fixed random
subset. It is part of the state of a run.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.training.data.images import Images

SNAPSHOTS = 24
MAX_IMAGES = 100_000
SHOWN_IMAGES = 48
MAX_SIDE = 96  # pixels of a shown image's height and width; larger ones are averaged down
MAX_CLASSES = 1000  # more give no matrix: it would be larger than all else that a sweep leaves


def snapshot_epochs(epochs: int) -> list[int]:
    """Return the epochs of the snapshots, with 0 (the start) and the last."""
    return sorted({round(i * epochs / (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)})


class LabelHistory:
    """Snapshots of soft labels [N, C] over a run of `epochs`, from the labels `start`.

    Args:
        class_start: [C, C], the labels by class, if all images of a class share one.
        stream: draws the recorded subset.
    """

    def __init__(self, start: Tensor, class_start: Tensor | None, epochs: int, stream: torch.Generator) -> None:
        count, classes = start.shape
        rows = torch.arange(count)
        if count > MAX_IMAGES:
            rows = torch.randperm(count, generator=stream)[:MAX_IMAGES].sort().values
        self.rows = rows.to(start.device)
        self.epochs = snapshot_epochs(epochs)
        self._start = start[self.rows]
        shape = len(self.epochs), len(rows)
        self._history = {
            "largest": torch.zeros(shape, dtype=torch.uint8 if classes <= 256 else torch.int32),
            "moved": torch.zeros(shape, dtype=torch.float16),
        }
        if class_start is not None and classes <= MAX_CLASSES:
            self._history["matrices"] = torch.zeros(len(self.epochs), classes, classes, dtype=torch.float16)
        self.record(0, start, class_start)

    def distance_moved(self, labels: Tensor) -> Tensor:
        """Return the distance of each recorded label from its start, [n]."""
        return (labels[self.rows] - self._start).abs().sum(1) / 2

    def record(self, epoch: int, labels: Tensor, class_labels: Tensor | None) -> None:
        """Record the labels after `epoch`, if it is a snapshot's."""
        if epoch not in self.epochs:
            return
        values = {"largest": labels[self.rows].argmax(1), "moved": self.distance_moved(labels)}
        if class_labels is not None:
            values["matrices"] = class_labels
        for name, tensor in self._history.items():
            tensor[self.epochs.index(epoch)] = values[name].to(tensor)

    def arrays(self, images: Images) -> dict[str, Any]:
        """Return the history of a run that has ended, as in `label_history.npz`.

        `epochs` [S], `rows` [n] (which of the N labels are recorded), `largest` and `moved` [S, n]; then `class_labels`
        [S, C, C], or of images (not of feature vectors) `shown` [at most 48], those whose labels moved furthest, as
        indices among the N, and their `pixels` [48, channels, height, width], from 0 to 255.
        """
        rows, largest, moved = self.rows.cpu(), self._history["largest"], self._history["moved"]
        arrays: dict[str, Any] = {
            "epochs": np.array(self.epochs),
            "rows": rows.numpy(),
            "largest": largest.numpy().astype(np.min_scalar_type(self._start.shape[1] - 1)),
            "moved": moved.numpy(),
        }
        if "matrices" in self._history:
            return {**arrays, "class_labels": self._history["matrices"].numpy()}
        if images.are_vectors:
            return arrays
        furthest = moved[-1].argsort(descending=True, stable=True)[:SHOWN_IMAGES]
        shown = rows[furthest[moved[-1][furthest] > 0]]
        return {**arrays, "shown": shown.numpy(), "pixels": _pixel_bytes(images[shown.to(images.index.device)])}

    def state_dict(self) -> dict[str, Tensor]:
        return self._history

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self._history.items():
            tensor.copy_(state[name])


def _pixel_bytes(images: Images) -> NDArray[np.uint8]:
    """Pixels of the images, scaled from 0 (the darkest of all) to 255 (the brightest)."""
    pixels = images.pixels.stored[images.index].float().cpu()
    factor = -(-max(pixels.shape[2:]) // MAX_SIDE)
    if factor > 1:
        pixels = functional.avg_pool2d(pixels, factor, ceil_mode=True)
    if len(pixels):
        darkest, brightest = pixels.aminmax()
        pixels = (pixels - darkest) * (255 / (brightest - darkest).clamp(min=1e-12))
    return np.asarray(pixels.round().byte().numpy())
