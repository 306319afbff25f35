"""Labels as parameters: one soft label per training sample, or one per class, moved by rows.

    y ← Π( y - β u )                                              the label step of arXiv:2009.09496

The raw label gradient ∂M/∂y_i = (s/B) ⟨∇θ log p(x_i), v⟩ shrinks with the batch size B and with the model's own rate
s, so a rate that multiplies it would have to move with both. β multiplies what is left when these are taken out:

    instance labels   u_i = (B/s) ∂M/∂y_i           =  ⟨∇θ log p(x_i), v⟩
    class labels      u_c = (C/s) Σ_{i∈c} ∂M/∂y_i   =  (C/B) Σ_{i∈c} ⟨∇θ log p(x_i), v⟩

with v = ∇M(θ'), and Σ_{i∈c} over the batch's samples of class c: for balanced classes the mean over them. So β is what
a label moves when its sample's score and the meta gradient are aligned by one, whatever B and s are.

How the parts fit: a `Start` says where labels begin, a `Parametrisation` what is stored of them; `LabelTable` keeps and
moves rows; `InstanceLabels` and `ClassLabels` say which rows a batch's gradient belongs to. `Labels` is all a training
loop needs to know.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.metalabel.checks import check_on_simplex
from harness.metalabel.simplex import project_onto_simplex


class Labels(Protocol):
    """Soft labels that a training loop reads and moves by rows.

    `index`, int64 `[batch]`, names each sample's row: for instance labels its number in the training set, distinct
    within a batch; for class labels its annotated class.
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

    def state_dict(self) -> dict[str, Any]:
        """Everything the next step reads, in tensors that alias nothing live."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Start(Protocol):
    """Where labels begin, and where decay pulls them back to."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, classes)"""
        ...

    @property
    def device(self) -> torch.device: ...

    def rows(self, index: Tensor) -> Tensor:
        """The soft labels of these rows, float32 `[len(index), classes]`."""
        ...


@dataclass(frozen=True)
class OneHot:
    """(1 - smoothing) · one_hot + smoothing / num_classes, held as one class per row and never written out whole."""

    classes: Tensor  # int64 [rows]
    num_classes: int
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing <= 1:
            raise ValueError(f"smoothing: expected a share in [0, 1], got {self.smoothing}")
        least, largest = (int(end) for end in torch.aminmax(self.classes))
        if least < 0 or largest >= self.num_classes:
            raise ValueError(
                f"classes: expected class indices from 0 to {self.num_classes - 1}, got {least} to {largest}; "
                "pass num_classes as the number of classes of the data set"
            )

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.classes), self.num_classes

    @property
    def device(self) -> torch.device:
        return self.classes.device

    def rows(self, index: Tensor) -> Tensor:
        classes = self.classes[index.to(self.device)]
        return F.one_hot(classes, self.num_classes).float() * (1 - self.smoothing) + self.smoothing / self.num_classes


@dataclass(frozen=True)
class Given:
    """Soft labels from elsewhere, `[rows, classes]`."""

    labels: Tensor

    def __post_init__(self) -> None:
        check_on_simplex("labels", self.labels)

    @property
    def shape(self) -> tuple[int, int]:
        rows, classes = self.labels.shape
        return rows, classes

    @property
    def device(self) -> torch.device:
        return self.labels.device

    def rows(self, index: Tensor) -> Tensor:
        return self.labels[index.to(self.device)].float()


class Parametrisation(Protocol):
    """What a row of the table is. All functions are rowwise."""

    def encode(self, labels: Tensor) -> Tensor:
        """Soft labels → table rows."""
        ...

    def decode(self, rows: Tensor) -> Tensor:
        """Table rows → soft labels."""
        ...

    def pull(self, rows: Tensor, gradient: Tensor) -> Tensor:
        """∂M/∂label → what a row steps along."""
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

    A label of exactly 0 has no finite logit, so a start is first mixed with `floor` of the uniform label.
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


class Exponentiated(Softmax):
    """Rows as `Softmax` has them, which step along ∂M/∂y itself: y_c ← y_c exp(-β u_c) / Σ_k y_k exp(-β u_k).

    The exponentiated gradient (Kivinen and Warmuth 1997), mirror descent with the entropy. What speaks for a class and
    against it adds up step by step: no entry is cut off at 0, as projection does, nor slowed by being small, as
    `Softmax` does.
    """

    def pull(self, rows: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def settle(self, rows: Tensor) -> Tensor:
        return rows.log_softmax(dim=-1)  # the same label; what all entries have gained alike is of no use to any


class LabelTable:
    """Labels in storage, and their step; rows that a step does not name stay as they are.

    With p a row, p₀ its start, u the scaled gradient, μ and λ momentum and decay,

        m ← μ m + u,    p ← Π( p + λ (p₀ - p) - β m ).

    `dtype` and `device` are the storage's. A step gathers its rows, computes in float32 and scatters them back, so that
    the labels of a million samples and a thousand classes can lie on the CPU in bfloat16 (2 GB, as much again with
    momentum). bfloat16 keeps 8 bits: a step of less than 0.2% of an entry is lost to rounding.

    Args:
        start: where the labels begin.
        parametrisation: what a row is.
        momentum: μ, a share in [0, 1).
        decay: λ, the share of the way back to its start that a row goes at each of its steps.
        dtype: torch.float32 or torch.bfloat16.
        device: where the table lies; default: where `start` does.
    """

    def __init__(
        self,
        start: Start,
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
        if dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(f"dtype: expected torch.float32 or torch.bfloat16, got {dtype}")
        self.start, self.parametrisation, self.momentum, self.decay = start, parametrisation, momentum, decay
        self.table = torch.empty(start.shape, dtype=dtype, device=start.device if device is None else device)
        for chunk in torch.arange(len(self.table), device=start.device).split(1 << 14):
            self.table[chunk.to(self.table.device)] = self._started(chunk).to(self.table)
        self.velocity = torch.zeros_like(self.table) if momentum else None

    @classmethod
    def from_soft(cls, labels: Tensor, **options: Any) -> Self:
        """Start from given soft labels, `[rows, classes]`."""
        return cls(Given(labels.detach().clone()), **options)

    def rows(self, index: Tensor) -> Tensor:
        return self.parametrisation.decode(self.table[index.to(self.table.device)].float()).to(index.device)

    def step(self, index: Tensor, gradient: Tensor, label_lr: float) -> None:
        """One step of distinct rows along the scaled gradient u, `[len(index), classes]`."""
        index = index.to(self.table.device)
        rows = self.table[index].float()
        moved = self.parametrisation.pull(rows, gradient.to(rows))
        if self.velocity is not None:
            moved = moved.add(self.velocity[index], alpha=self.momentum)
            self.velocity[index] = moved.to(self.velocity.dtype)
        if self.decay:
            rows = rows.lerp(self._started(index).to(rows), self.decay)
        self.table[index] = self.parametrisation.settle(rows.sub(moved, alpha=label_lr)).to(self.table.dtype)

    def as_tensor(self) -> Tensor:
        return self.parametrisation.decode(self.table.float())

    def state_dict(self) -> dict[str, Any]:
        state = {"table": self.table.clone()}
        if self.velocity is not None:
            state["velocity"] = self.velocity.clone()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up saved labels; ValueError where they are of another shape, or with momentum and these without."""
        held = {"table": self.table} | ({} if self.velocity is None else {"velocity": self.velocity})
        for name in held.keys() | state.keys():
            expected, got = ([*labels[name].shape] if name in labels else "none" for labels in (held, state))
            if expected != got:
                raise ValueError(
                    f"saved labels: {name}: expected {expected}, got {got}; build the labels with the rows, classes "
                    "and momentum of those that were saved"
                )
        for name, tensor in held.items():
            tensor.copy_(state[name])

    def _started(self, index: Tensor) -> Tensor:
        return self.parametrisation.encode(self.start.rows(index))


class InstanceLabels(LabelTable):
    """One soft label per training sample, `[samples, classes]`."""

    @classmethod
    def from_classes(cls, classes: Tensor, num_classes: int, *, smoothing: float = 0.0, **options: Any) -> Self:
        """Start from the annotated class of each sample, int64 `[samples]`, one-hot or smoothed."""
        return cls(OneHot(classes.clone(), num_classes, smoothing), **options)

    def update(self, index: Tensor, gradient: Tensor, *, label_lr: float, scale: float) -> None:
        self.step(index, gradient * scale, label_lr)


class ClassLabels(LabelTable):
    """One soft label per annotated class, `[classes, classes]`."""

    @classmethod
    def from_smoothing(cls, num_classes: int, smoothing: float = 0.0, **options: Any) -> Self:
        """Start where each class means itself, one-hot or smoothed."""
        return cls(OneHot(torch.arange(num_classes), num_classes, smoothing), **options)

    def update(self, index: Tensor, gradient: Tensor, *, label_lr: float, scale: float) -> None:
        seen, place = index.unique(return_inverse=True)
        sums = gradient.new_zeros(len(seen), gradient.shape[1]).index_add_(0, place, gradient)
        self.step(seen, sums * (scale * gradient.shape[1] / len(gradient)), label_lr)
