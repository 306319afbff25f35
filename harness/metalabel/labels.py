"""Labels as parameters: one soft label per training sample, or one per class.

    y ← Π( y - β u )                                              the label step of arXiv:2009.09496

The label gradient ∂M/∂y_i = (s/B) ⟨∇θ log p(x_i), v⟩ is proportional to the model's rate s and to 1/B, B the batch
size. Both are taken out, so that one β = label_lr fits all B and s:

    instance labels   u_i = (B/s) ∂M/∂y_i           =  ⟨∇θ log p(x_i), v⟩
    class labels      u_c = (C/s) Σ_{i∈c} ∂M/∂y_i   =  (C/B) Σ_{i∈c} ⟨∇θ log p(x_i), v⟩

with v = ∇M(θ') and Σ_{i∈c} over the batch's samples of class c: their mean, if classes are balanced.

Labels may also follow the model. With z_i its logits for sample i, p̃_i = softmax(τ z_i), that is p̃ ∝ p^τ,

    instance labels   y_i ← (1 - γ) y_i + γ p̃_i                          as self-adaptive training (arXiv:2002.10319)
    class labels      y_c ← (1 - γ)^ν y_c + (1 - (1 - γ)^ν) mean_{i∈c} p̃_i,     ν = |batch ∩ c| / |c|

γ is the fraction of a label that one epoch replaces, in batches of any size: an epoch visits a sample once, and over it
the ν of a class add up to 1.
"""

from typing import Any, Self

import torch
from torch import Tensor

from harness.metalabel.checks import check_classes, check_on_simplex
from harness.metalabel.lookahead import Number
from harness.metalabel.parametrisation import Parametrisation, Simplex


class LabelTable:
    """Stored labels and their step. Rows that a step does not index do not change.

    With p a row, p₀ its initial value, u the scaled gradient, μ and λ momentum and decay,

        m ← μ m + u,    p ← Π( p + λ (p₀ - p) - β m ).

    Steps are computed in float32. In bfloat16 the labels of a million samples and a thousand classes take 2 GB, twice
    that with momentum; a step of less than 0.2 % of an entry is then lost to rounding.

    Args:
        initial: labels at the start, `[k, classes]`, to which decay pulls them back.
        assignment: for each row, the one of `initial` that it starts from, int64 `[rows]`.
        momentum, decay: μ and λ, in [0, 1), else ValueError.
        dtype: of the storage; torch.float32 or torch.bfloat16, else ValueError.
    """

    def __init__(
        self,
        initial: Tensor,
        assignment: Tensor,
        *,
        parametrisation: Parametrisation | None = None,
        momentum: float = 0.0,
        decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        for name, value in (("momentum", momentum), ("decay", decay)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}: expected a fraction in [0, 1), got {value}")
        if dtype not in (torch.float32, torch.bfloat16):
            raise ValueError(f"dtype: expected torch.float32 or torch.bfloat16, got {dtype}")
        self.initial, self.assignment = initial, assignment
        self.momentum, self.decay = momentum, decay
        self.parametrisation = parametrisation or Simplex()
        self.table = torch.empty(len(assignment), initial.shape[1], dtype=dtype, device=initial.device)
        for index in torch.arange(len(self.table), device=initial.device).split(1 << 14):
            self.table[index] = self._initial_rows(index).to(dtype)
        self.velocity = torch.zeros_like(self.table) if momentum else None

    @classmethod
    def from_soft(cls, labels: Tensor, **options: Any) -> Self:
        """Start from soft labels `[rows, classes]`; ValueError unless each row is on the simplex."""
        check_on_simplex("labels", labels)
        return cls(labels.detach().clone(), torch.arange(len(labels), device=labels.device), **options)

    @classmethod
    def from_classes(cls, classes: Tensor, num_classes: int, *, smoothing: float = 0.0, **options: Any) -> Self:
        """Start from (1 - smoothing) · one_hot + smoothing / num_classes of each row's class, int64 `[rows]`.

        ValueError if a class or the smoothing is out of bounds.
        """
        if not 0 <= smoothing <= 1:
            raise ValueError(f"smoothing: expected a fraction in [0, 1], got {smoothing}")
        check_classes(classes, num_classes)
        smoothed = torch.eye(num_classes, device=classes.device) * (1 - smoothing) + smoothing / num_classes
        return cls(smoothed, classes.clone(), **options)

    def __repr__(self) -> str:
        rows, classes = self.table.shape
        dtype = str(self.table.dtype).removeprefix("torch.")
        options = f"momentum={self.momentum}, decay={self.decay}, dtype={dtype}"
        return f"{type(self).__name__}({rows} × {classes}, {self.parametrisation}, {options})"

    def rows(self, index: Tensor) -> Tensor:
        """The soft labels of these rows, float32 `[len(index), classes]` on the index's device."""
        rows = self.table.index_select(0, index.to(self.table.device))
        return self.parametrisation.decode(rows.float()).to(index.device)

    def as_tensor(self) -> Tensor:
        """A copy of all soft labels, float32 `[rows, classes]`."""
        return self.parametrisation.decode(self.table.float())

    def step(self, index: Tensor, gradient: Tensor, label_lr: Number, moving: Tensor | None = None) -> None:
        """One step of distinct rows along the scaled gradient u, `[len(index), classes]`.

        Rows that are not `moving`, bool `[len(index)]`, stay as they are.
        """
        index = index.to(self.table.device)
        moving = None if moving is None else moving.to(index.device)[:, None]
        stored = self.table[index]
        rows = stored.float()
        direction = self.parametrisation.step_direction(rows, gradient.to(rows))
        if self.velocity is not None:
            velocity = self.velocity[index]
            direction = direction.add(velocity, alpha=self.momentum)
            self.velocity[index] = _where(moving, direction.to(velocity.dtype), velocity)
        if self.decay:
            rows = rows.lerp(self._initial_rows(index), self.decay)
        rows = rows - direction * label_lr if isinstance(label_lr, Tensor) else rows.sub(direction, alpha=label_lr)
        rows = self.parametrisation.constrain(rows)
        self.table[index] = _where(moving, rows.to(stored.dtype), stored)

    def mix(
        self,
        index: Tensor,
        predictions: Tensor,
        rate: Tensor | float,
        labels: Tensor | None = None,
        moving: Tensor | None = None,
    ) -> None:
        """Let the labels of distinct rows become (1 - rate) y + rate · predictions. The momentum stays as it is.

        `predictions` are `[len(index), classes]` on the simplex, `rate` is a number or `[len(index), 1]`, `labels` are
        `rows(index)` where the caller has them. Rows that are not `moving`, bool `[len(index)]`, stay as they are.
        """
        device = self.table.device
        index = index.to(device)
        labels = self.rows(index) if labels is None else labels.to(device)
        rows = self.parametrisation.encode_mixture(labels.lerp(predictions.to(device), rate)).to(self.table.dtype)
        if moving is not None:
            rows = rows.where(moving.to(device)[:, None], self.table[index])
        self.table.index_copy_(0, index, rows)

    def state_dict(self) -> dict[str, Any]:
        """Copies of all tensors that the next step reads."""
        return {name: tensor.clone() for name, tensor in self._tensors().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copy a saved state; ValueError if its shapes differ, or if only one of the two has momentum."""
        own = self._tensors()
        for name in own.keys() | state.keys():
            expected, got = ([*tensors[name].shape] if name in tensors else "none" for tensors in (own, state))
            if expected != got:
                raise ValueError(
                    f"saved labels: {name}: expected {expected}, got {got}; build the labels with the rows, classes "
                    "and momentum of those that were saved"
                )
        for name, tensor in own.items():
            tensor.copy_(state[name])

    def _tensors(self) -> dict[str, Tensor]:
        return {"table": self.table} | ({} if self.velocity is None else {"velocity": self.velocity})

    def _initial_rows(self, index: Tensor) -> Tensor:
        return self.parametrisation.encode(self.initial[self.assignment[index]].float())


class InstanceLabels(LabelTable):
    """One soft label per training sample, `[samples, classes]`."""

    def update(
        self, index: Tensor, gradient: Tensor, *, label_lr: Number, scale: Number, moving: Tensor | None = None
    ) -> None:
        """One label step of the distinct samples `index`, int64 `[batch]`, with rate β = `label_lr`.

        Args:
            gradient, scale: ∂M/∂Y `[batch, classes]` and B/s, both of one `MetaStep`.
            moving: bool `[batch]`, false for samples whose labels stay; None for all.
        """
        self.step(index, gradient * scale, label_lr, moving)

    def follow(
        self,
        index: Tensor,
        logits: Tensor,
        *,
        rate: float,
        sharpness: float = 1.0,
        labels: Tensor | None = None,
        moving: Tensor | None = None,
    ) -> None:
        """Let the labels of the distinct samples `index` follow the model's predictions for them.

        Args:
            logits: of these samples, `[batch, classes]`.
            rate: γ from 0 to 1.
            sharpness: τ > 0; above 1, labels become harder than the predictions.
            labels: `rows(index)`, where the caller has them: they need not be read again.
            moving: bool `[batch]`, false for samples whose labels stay; None for all.
        """
        self.mix(index, _predictions(logits, sharpness), rate, labels, moving)


class ClassLabels(LabelTable):
    """One soft label per annotated class, `[classes, classes]`: start from `torch.arange(classes)`."""

    def update(
        self, index: Tensor, gradient: Tensor, *, label_lr: Number, scale: Number, moving: Tensor | None = None
    ) -> None:
        """One label step, as `InstanceLabels.update`; `index` is each sample's annotated class.

        Samples that are not `moving` count neither in a sum nor in B. Classes of which none moves stay.
        """
        classes = len(self.table)
        members = torch.ones_like(index) if moving is None else moving.to(index.dtype)
        samples: Tensor | int = len(index)
        if moving is not None:
            gradient = gradient.where(moving[:, None], 0.0)
            samples = members.sum().clamp(min=1).double()
        sums = gradient.new_zeros(classes, gradient.shape[1]).index_add_(0, index, gradient)
        counts = members.new_zeros(classes).index_add_(0, index, members)
        every = torch.arange(classes, device=index.device)
        self.step(every, sums * (scale * gradient.shape[1] / samples), label_lr, counts > 0)

    def follow(
        self,
        index: Tensor,
        logits: Tensor,
        *,
        rate: float,
        class_sizes: Tensor,
        sharpness: float = 1.0,
        moving: Tensor | None = None,
    ) -> None:
        """Let the labels follow the mean predictions for their classes, as `InstanceLabels.follow`.

        `index` is each sample's annotated class; `class_sizes`, `[classes]`, has |c|, the samples of an epoch. Samples
        that are not `moving` count in no mean.
        """
        every = torch.arange(len(self.table), device=index.device)
        members = index == every[:, None]  # [classes, batch]
        members = (members if moving is None else members & moving).to(torch.float32)
        counts = members.sum(dim=1, keepdim=True)
        means = members @ _predictions(logits, sharpness) / counts.clamp(min=1)
        rates = 1 - (1 - rate) ** (counts / class_sizes[:, None].clamp(min=1))
        self.mix(every, means, rates, self.as_tensor())


def _where(moving: Tensor | None, new: Tensor, old: Tensor) -> Tensor:
    return new if moving is None else new.where(moving, old)


def _predictions(logits: Tensor, sharpness: float) -> Tensor:
    """Probabilities ∝ p^sharpness, in float32."""
    logits = logits.detach().float()
    return (logits if sharpness == 1 else logits * sharpness).softmax(dim=-1)
