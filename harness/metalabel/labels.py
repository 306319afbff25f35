"""Labels as parameters: one soft label per training image, or one per class.

    y ← Π( y - β · u )                          the label step of arXiv:2009.09496, by rows

The raw label gradient ∂M/∂y_i = (s/B) ⟨∇θ log p(x_i), v⟩ shrinks with the batch size B and with the model's own rate s, so a
rate that multiplies it would have to grow with both. β multiplies what is left when these are taken out:

    instance labels   u_i = (B/s) · ∂M/∂y_i                = ⟨∇θ log p(x_i), v⟩
    class labels      u_c = (C/s) · Σ_{i of class c} ∂M/∂y_i = (C/B) · Σ_{i of class c} ⟨∇θ log p(x_i), v⟩

The second is the mean over a class's images where classes are balanced. So β = 1 moves a label by the alignment, in nats per unit of weight, of
its image's score with the meta gradient, whatever B and s are.

Parts: `Labels` is what a training loop needs; `InstanceLabels` and `ClassLabels` differ in how a batch's rows meet the table's;
a `Parametrisation` says what a table's row is: the label itself, or logits under a softmax.
"""

from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.metalabel.simplex import project_onto_simplex


class Labels(Protocol):
    """Soft labels that a training loop reads and moves by rows.

    `index` names rows of the table, int64 `[batch]`: sample indices for instance labels, the annotated class of each sample
    for class labels; `LearnedLabels.key` picks the right one of the two.
    """

    def rows(self, index: Tensor) -> Tensor:
        """The soft labels of these rows, `[batch, classes]`, in float32 on the index's device."""
        ...

    def update(self, index: Tensor, gradient: Tensor, *, label_lr: float, scale: float) -> None:
        """One label step; `gradient` is ∂M/∂Y `[batch, classes]` and `scale` is B/s, both of a `MetaStep`."""
        ...

    def as_tensor(self) -> Tensor:
        """All soft labels, `[rows, classes]`, a copy in float32."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Parametrisation(Protocol):
    """What a row of the table is. All functions are rowwise."""

    def encode(self, labels: Tensor) -> Tensor:
        """Soft labels → table rows."""
        ...

    def decode(self, rows: Tensor) -> Tensor:
        """Table rows → soft labels."""
        ...

    def pull(self, rows: Tensor, gradient: Tensor) -> Tensor:
        """∂M/∂label → ∂M/∂row."""
        ...

    def settle(self, rows: Tensor) -> Tensor:
        """Bring rows back to where they may lie."""
        ...


class Simplex:
    """A row is the label; after a step it is projected back onto the simplex."""

    def encode(self, labels: Tensor) -> Tensor:
        return labels

    def decode(self, rows: Tensor) -> Tensor:
        # Storage in half precision leaves row sums off by a rounding.
        return rows / rows.sum(dim=-1, keepdim=True)

    def pull(self, rows: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def settle(self, rows: Tensor) -> Tensor:
        return project_onto_simplex(rows)


SIMPLEX = Simplex()


class Softmax:
    """A row z holds logits, y = softmax z, and ∂M/∂z = y ∘ (∂M/∂y - ⟨y, ∂M/∂y⟩).

    A label of exactly 0 has no finite logit, so labels are first mixed with `floor` of the uniform label.
    """

    def __init__(self, floor: float = 0.01) -> None:
        if not 0 < floor < 1:
            raise ValueError(f"floor: expected a share between 0 and 1, got {floor}")
        self.floor = floor

    def encode(self, labels: Tensor) -> Tensor:
        return ((1 - self.floor) * labels + self.floor / labels.shape[-1]).log()

    def decode(self, rows: Tensor) -> Tensor:
        return rows.softmax(dim=-1)

    def pull(self, rows: Tensor, gradient: Tensor) -> Tensor:
        labels = self.decode(rows)
        return labels * (gradient - (labels * gradient).sum(dim=-1, keepdim=True))

    def settle(self, rows: Tensor) -> Tensor:
        return rows


def smoothed_one_hot(classes: Tensor, num_classes: int, smoothing: float = 0.0) -> Tensor:
    """(1 - smoothing) · one_hot + smoothing / num_classes, float32 `[len(classes), num_classes]`."""
    return F.one_hot(classes, num_classes).float() * (1 - smoothing) + smoothing / num_classes


class LabelTable:
    """A table of labels with its step: momentum, decay back to the start, storage. Rows not named by a step do not move.

    With p the row, p₀ its start, u the scaled gradient and μ, λ momentum and decay,

        m ← μ m + u,    p ← Π( p + λ (p₀ - p) - β m ).

    `dtype` and `device` are the storage's; each step gathers its rows, computes in float32, and scatters them back, so a
    table of a million samples and a thousand classes may lie on the CPU in bfloat16 (2 GB).
    """

    def __init__(
        self,
        start: Tensor,
        *,
        parametrisation: Parametrisation = SIMPLEX,
        momentum: float = 0.0,
        decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        for name, value in (("momentum", momentum), ("decay", decay)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}: expected a share in [0, 1), got {value}")
        self.parametrisation, self.momentum, self.decay = parametrisation, momentum, decay
        device = start.device if device is None else device
        self.table = parametrisation.encode(start.detach().float()).to(device=device, dtype=dtype, copy=True)
        self.start = self.table.clone() if decay else None
        self.velocity = torch.zeros_like(self.table) if momentum else None

    def rows(self, index: Tensor) -> Tensor:
        return self.parametrisation.decode(self.table[index.to(self.table.device)].float()).to(index.device)

    def step(self, index: Tensor, gradient: Tensor, label_lr: float) -> None:
        """One step of distinct rows along the scaled gradient u, `[rows, classes]`."""
        index = index.to(self.table.device)
        rows = self.table[index].float()
        moved = self.parametrisation.pull(rows, gradient.to(rows.device, rows.dtype))
        if self.velocity is not None:
            moved = self.velocity[index].float().mul_(self.momentum).add_(moved)
            self.velocity[index] = moved.to(self.velocity.dtype)
        if self.start is not None:
            rows = rows.lerp(self.start[index].float(), self.decay)
        rows = self.parametrisation.settle(rows.sub(moved, alpha=label_lr))
        self.table[index] = rows.to(self.table.dtype)

    def as_tensor(self) -> Tensor:
        return self.parametrisation.decode(self.table.float()).clone()

    def state_dict(self) -> dict[str, Any]:
        held = {"table": self.table, "start": self.start, "velocity": self.velocity}
        return {name: tensor.clone() for name, tensor in held.items() if tensor is not None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        held = {"table": self.table, "start": self.start, "velocity": self.velocity}
        for name, tensor in held.items():
            if (tensor is None) != (name not in state):
                raise ValueError(
                    f"{name}: the saved labels and these differ in momentum or decay; build these as those were built"
                )
            if tensor is not None:
                tensor.copy_(state[name])


class InstanceLabels(LabelTable):
    """One soft label per training sample, `[samples, classes]`; `index` holds sample indices, distinct within a batch."""

    @classmethod
    def from_classes(
        cls, classes: Tensor, num_classes: int, *, smoothing: float = 0.0, **options: Any
    ) -> Self:
        """Start from the annotated class of each sample, `[samples]`, one-hot or smoothed."""
        return cls(smoothed_one_hot(classes, num_classes, smoothing), **options)

    def update(self, index: Tensor, gradient: Tensor, *, label_lr: float, scale: float) -> None:
        self.step(index, gradient * scale, label_lr)


class ClassLabels(LabelTable):
    """One soft label per annotated class, `[classes, classes]`; `index` holds the annotated class of each sample."""

    @classmethod
    def from_smoothing(cls, num_classes: int, smoothing: float = 0.0, **options: Any) -> Self:
        """Start from the identity: class c means c, one-hot or smoothed."""
        return cls(smoothed_one_hot(torch.arange(num_classes), num_classes, smoothing), **options)

    def update(self, index: Tensor, gradient: Tensor, *, label_lr: float, scale: float) -> None:
        seen, place = index.unique(return_inverse=True)
        sums = gradient.new_zeros(len(seen), gradient.shape[1]).index_add_(0, place, gradient)
        self.step(seen, sums * (scale * gradient.shape[1] / len(gradient)), label_lr)
