"""Labels as parameters: one soft label per training sample, or one per class.

    y ← Π( y - β u )                                              the label step of arXiv:2009.09496

The label gradient ∂M/∂y_i = (s/B) ⟨∇θ log p(x_i), v⟩ is proportional to the model's rate s and to 1/B, B the batch
size. Both are taken out, so that one β = label_lr fits all B and s:

    instance labels   u_i = (B/s) ∂M/∂y_i           =  ⟨∇θ log p(x_i), v⟩
    class labels      u_c = (C/s) Σ_{i∈c} ∂M/∂y_i   =  (C/B) Σ_{i∈c} ⟨∇θ log p(x_i), v⟩

with v = ∇M(θ') and Σ_{i∈c} over the batch's samples of class c: their mean, if classes are balanced.

`InitialLabels` says where labels start, a `Parametrisation` what is stored of them. `LabelTable` stores and steps rows;
`InstanceLabels` and `ClassLabels` assign the rows of a batch's gradient to rows of the table.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.metalabel.checks import check_on_simplex
from harness.metalabel.parametrisation import Parametrisation, Simplex


class InitialLabels(Protocol):
    """Soft labels at the start, to which decay pulls them back."""

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
class OneHotLabels:
    """(1 - smoothing) · one_hot + smoothing / num_classes; stores one class per row.

    Raises:
        ValueError: a class or the smoothing is out of bounds.
    """

    classes: Tensor  # int64 [rows]
    num_classes: int
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing <= 1:
            raise ValueError(f"smoothing: expected a fraction in [0, 1], got {self.smoothing}")
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
class SoftLabels:
    """Given soft labels `[rows, classes]`; ValueError unless each row is on the simplex."""

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


class LabelTable:
    """Stored labels and their step. Rows that a step does not index do not change.

    With p a row, p₀ its initial value, u the scaled gradient, μ and λ momentum and decay,

        m ← μ m + u,    p ← Π( p + λ (p₀ - p) - β m ).

    A step gathers its rows, computes in float32 and writes them back. So the labels of a million samples and a thousand
    classes fit on the CPU in bfloat16 (2 GB, twice that with momentum). bfloat16 has 8 significant bits: a step of less
    than 0.2 % of an entry is lost to rounding.

    Args:
        initial: labels at the start.
        parametrisation: what a row stores.
        momentum: μ, in [0, 1).
        decay: λ, in [0, 1).
        dtype: of the storage, torch.float32 or torch.bfloat16.
        device: of the storage; default: that of `initial`.

    Raises:
        ValueError: momentum, decay or dtype is not one of these.
    """

    def __init__(
        self,
        initial: InitialLabels,
        *,
        parametrisation: Parametrisation | None = None,
        momentum: float = 0.0,
        decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        for name, value in (("momentum", momentum), ("decay", decay)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}: expected a fraction in [0, 1), got {value}")
        if dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(f"dtype: expected torch.float32 or torch.bfloat16, got {dtype}")
        self.initial, self.momentum, self.decay = initial, momentum, decay
        self.parametrisation = Simplex() if parametrisation is None else parametrisation
        self.table = torch.empty(initial.shape, dtype=dtype, device=initial.device if device is None else device)
        for chunk in torch.arange(len(self.table), device=initial.device).split(1 << 14):
            self.table[chunk.to(self.table.device)] = self._initial_rows(chunk).to(self.table)
        self.velocity = torch.zeros_like(self.table) if momentum else None

    @classmethod
    def from_soft(cls, labels: Tensor, **options: Any) -> Self:
        """Start from soft labels, `[rows, classes]`."""
        return cls(SoftLabels(labels.detach().clone()), **options)

    def rows(self, index: Tensor) -> Tensor:
        """The soft labels of these rows, float32 `[len(index), classes]` on the index's device."""
        return self.parametrisation.decode(self.table[index.to(self.table.device)].float()).to(index.device)

    def as_tensor(self) -> Tensor:
        """A copy of all soft labels, float32 `[rows, classes]`."""
        return self.parametrisation.decode(self.table.float())

    def step(self, index: Tensor, gradient: Tensor, label_lr: float) -> None:
        """One step of distinct rows along the scaled gradient u, `[len(index), classes]`."""
        index = index.to(self.table.device)
        rows = self.table[index].float()
        direction = self.parametrisation.step_direction(rows, gradient.to(rows))
        if self.velocity is not None:
            direction = direction.add(self.velocity[index], alpha=self.momentum)
            self.velocity[index] = direction.to(self.velocity.dtype)
        if self.decay:
            rows = rows.lerp(self._initial_rows(index).to(rows), self.decay)
        rows = self.parametrisation.constrain(rows.sub(direction, alpha=label_lr))
        self.table[index] = rows.to(self.table.dtype)

    def state_dict(self) -> dict[str, Any]:
        """Copies of all tensors that the next step reads."""
        state = {"table": self.table.clone()}
        if self.velocity is not None:
            state["velocity"] = self.velocity.clone()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copy a saved state; ValueError if its shapes differ, or if only one of the two has momentum."""
        own = {"table": self.table} | ({} if self.velocity is None else {"velocity": self.velocity})
        for name in own.keys() | state.keys():
            expected, got = ([*tensors[name].shape] if name in tensors else "none" for tensors in (own, state))
            if expected != got:
                raise ValueError(
                    f"saved labels: {name}: expected {expected}, got {got}; build the labels with the rows, classes "
                    "and momentum of those that were saved"
                )
        for name, tensor in own.items():
            tensor.copy_(state[name])

    def _initial_rows(self, index: Tensor) -> Tensor:
        return self.parametrisation.encode(self.initial.rows(index))


class InstanceLabels(LabelTable):
    """One soft label per training sample, `[samples, classes]`."""

    @classmethod
    def from_classes(cls, classes: Tensor, num_classes: int, *, smoothing: float = 0.0, **options: Any) -> Self:
        """Start from the annotated class of each sample, int64 `[samples]`, one-hot or smoothed."""
        return cls(OneHotLabels(classes.clone(), num_classes, smoothing), **options)

    def update(self, index: Tensor, gradient: Tensor, *, label_lr: float, scale: float) -> None:
        """One label step.

        Args:
            index: int64 `[batch]`, distinct numbers of the samples in the training set.
            gradient: ∂M/∂Y `[batch, classes]`, of a `MetaStep`.
            label_lr: β.
            scale: B/s, of the same `MetaStep`.
        """
        self.step(index, gradient * scale, label_lr)


class ClassLabels(LabelTable):
    """One soft label per annotated class, `[classes, classes]`."""

    @classmethod
    def from_smoothing(cls, num_classes: int, smoothing: float = 0.0, **options: Any) -> Self:
        """Start from each class's own one-hot or smoothed label."""
        return cls(OneHotLabels(torch.arange(num_classes), num_classes, smoothing), **options)

    def update(self, index: Tensor, gradient: Tensor, *, label_lr: float, scale: float) -> None:
        """One label step, as `InstanceLabels.update`; `index` is each sample's annotated class."""
        present, position = index.unique(return_inverse=True)
        sums = gradient.new_zeros(len(present), gradient.shape[1]).index_add_(0, position, gradient)
        self.step(present, sums * (scale * gradient.shape[1] / len(gradient)), label_lr)
