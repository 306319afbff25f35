"""Parametrisations of a soft label: what is stored of it, its *row*, and how a label step moves the row.

`encode` and `decode` convert labels to rows and back. `step_direction` is what the rows step against, given ∂M/∂Y;
`constrain` makes rows valid after a step. `encode_mixture` is `encode`, exact, for labels mixed with predictions.
Labels, rows and gradients are `[rows, classes]`.
"""

import torch
from torch import Tensor

from harness.metalabel.simplex import project_onto_simplex


class Simplex:
    """The row is the label; after a step it is projected onto the simplex."""

    def __repr__(self) -> str:
        return "Simplex()"

    def encode(self, labels: Tensor) -> Tensor:
        return labels

    def decode(self, rows: Tensor) -> Tensor:
        # Rows in half precision sum to one up to a rounding.
        return rows / rows.sum(dim=-1, keepdim=True)

    def step_direction(self, rows: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def constrain(self, rows: Tensor) -> Tensor:
        return project_onto_simplex(rows)

    def encode_mixture(self, labels: Tensor) -> Tensor:
        return labels


class Softmax:
    """The row z holds logits: y = softmax z, and ∂M/∂z = y ∘ (∂M/∂y - ⟨y, ∂M/∂y⟩).

    A label of exactly 0 has no finite logit, so labels are first mixed with `floor` of the uniform label.
    ValueError if `floor` is not in (0, 1).
    """

    def __init__(self, floor: float = 0.01) -> None:
        if not 0 < floor < 1:
            raise ValueError(f"floor: expected a fraction between 0 and 1, got {floor}")
        self.floor = floor

    def __repr__(self) -> str:
        return f"{type(self).__name__}(floor={self.floor})"

    def encode(self, labels: Tensor) -> Tensor:
        return ((1 - self.floor) * labels + self.floor / labels.shape[-1]).log()

    def decode(self, rows: Tensor) -> Tensor:
        return rows.softmax(dim=-1)

    def step_direction(self, rows: Tensor, gradient: Tensor) -> Tensor:
        labels = self.decode(rows)
        return labels * (gradient - (labels * gradient).sum(dim=-1, keepdim=True))

    def constrain(self, rows: Tensor) -> Tensor:
        return rows

    def encode_mixture(self, labels: Tensor) -> Tensor:
        return labels.clamp(min=torch.finfo(labels.dtype).tiny).log_()  # an entry that rounds to 0 keeps a finite logit


class ExponentiatedGradient(Softmax):
    """Rows as in `Softmax`, which step along ∂M/∂y itself: y_c ← y_c exp(-β u_c) / Σ_k y_k exp(-β u_k).

    Kivinen and Warmuth 1997; mirror descent with the entropy. Steps add up in the logits: no entry is cut off at 0, as
    by projection, nor slowed for being small, as in `Softmax`.
    """

    def step_direction(self, rows: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def constrain(self, rows: Tensor) -> Tensor:
        return rows.log_softmax(dim=-1)  # the same labels, normalised


Parametrisation = Simplex | Softmax
