"""The lookahead: where the optimiser's next step will put the weights, and how that place moves with the gradient.

    θ' = θ - update(g),    g = ∇θ L(θ, Y)

The training step itself is `torch.optim`'s; a lookahead reads that optimiser's settings and state, changes neither, and
equals what `optimizer.step()` then does, to rounding. Two things are asked of it: the place `ahead(g)` = θ', and the
pullback `pull(g, v)` = (-∂θ'/∂g)ᵀ v / s, with s the lookahead's `rate`. For v = ∇M(θ') the label gradient is then
(s/B) ⟨∇θ log p_c(x_i; θ), pull(g, v)⟩.

`ahead` is written out of place and differentiably, so that the reference method can run autograd through it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

Tensors = list[Tensor] | tuple[Tensor, ...]


class Lookahead(Protocol):
    """One optimiser step over `parameters`, all of which have a gradient."""

    @property
    def parameters(self) -> Tensors: ...

    @property
    def rate(self) -> float:
        """s: the share of the new gradient in the step; for SGD, θ' = … - s·g."""
        ...

    def ahead(self, gradients: Tensors) -> Tensors:
        """θ' for these gradients, one tensor a parameter."""
        ...

    def pull(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        """(-∂θ'/∂g)ᵀ v / s; every supported step is elementwise in g, so the matrix is diagonal."""
        ...


@dataclass(frozen=True)
class SGDLookahead:
    """θ' = θ - η d, where b' = μ b + (1-τ)(g + λθ), and d = b', or with Nesterov d = g + λθ + μ b'.

    Before a parameter's first step there is no buffer b, and b' = g + λθ whatever the dampening τ. The new gradient's
    own share is s = η (1-τ), with Nesterov η (1 + μ(1-τ)).
    """

    parameters: Tensors
    buffers: Tensors | None
    lr: float
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False

    @property
    def rate(self) -> float:
        kept = 1.0 if self.buffers is None or not self.momentum else 1.0 - self.dampening
        return self.lr * (1.0 + self.momentum * kept if self.nesterov else kept)

    def ahead(self, gradients: Tensors) -> Tensors:
        steps: Tensors = gradients
        if self.maximize:
            steps = torch._foreach_neg(steps)
        if self.weight_decay:
            steps = torch._foreach_add(steps, self.parameters, alpha=self.weight_decay)
        if self.momentum:
            moved: Tensors = steps
            if self.buffers is not None:
                fresh = torch._foreach_mul(steps, 1 - self.dampening) if self.dampening else steps
                moved = torch._foreach_add(fresh, self.buffers, alpha=self.momentum)
            steps = torch._foreach_add(steps, moved, alpha=self.momentum) if self.nesterov else moved
        return torch._foreach_add(self.parameters, steps, alpha=-self.lr)

    def pull(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        return torch._foreach_neg(vectors) if self.maximize else vectors


@dataclass(frozen=True)
class AdamLookahead:
    """θ' = θ - η·m̂ / (√v̂ + ε), with L2 decay inside g (Adam) or beside it (AdamW: θ shrinks by 1 - ηλ first).

    With m = β₁m₀ + (1-β₁)g and v = β₂v₀ + (1-β₂)g², hats for division by their bias corrections, and D = √v̂ + ε,

        -∂θ'/∂g = η · [ (1-β₁)/(1-β₁ᵗ) / D  -  m̂/D² · ∂√v̂/∂g ],    ∂√v̂/∂g = (1-β₂) g / ((1-β₂ᵗ) √v̂).

    Where v̂ = 0 so is g, and the second term is dropped; where AMSGrad keeps an older maximum, √v̂ does not move. The
    rate s is η.
    """

    parameters: list[Tensor]
    first: list[Tensor | None]
    second: list[Tensor | None]
    largest: list[Tensor | None]
    steps: list[float]
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float = 0.0
    decoupled: bool = False
    amsgrad: bool = False
    maximize: bool = False

    @property
    def rate(self) -> float:
        return self.lr

    def _moments(self, index: int, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
        """g with its sign and decay, m, v, √v̂ and 1-β₁ᵗ."""
        beta1, beta2 = self.betas
        step = -gradient if self.maximize else gradient
        if self.weight_decay and not self.decoupled:
            step = step.add(self.parameters[index], alpha=self.weight_decay)
        first, second, largest = self.first[index], self.second[index], self.largest[index]
        mean = step * (1 - beta1) if first is None else torch.lerp(first, step, 1 - beta1)
        square = step * step * (1 - beta2)
        if second is not None:
            square = (second * beta2).addcmul(step, step, value=1 - beta2)
        kept = torch.maximum(largest, square) if self.amsgrad and largest is not None else square
        count = self.steps[index] + 1
        # The root has an infinite slope at an exact zero: keep autograd out of it, as `pull` does.
        root = torch.where(kept > 0, kept, torch.ones_like(kept)).sqrt() * (kept > 0)
        return step, mean, square, root / (1 - beta2**count) ** 0.5, 1 - beta1**count

    def ahead(self, gradients: Tensors) -> Tensors:
        places = []
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            _, mean, _, root, correction = self._moments(index, gradient)
            start = parameter * (1 - self.lr * self.weight_decay) if self.decoupled else parameter
            places.append(start.addcdiv(mean, root + self.eps, value=-self.lr / correction))
        return places

    def pull(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        beta1, beta2 = self.betas
        pulled = []
        for index, (gradient, vector) in enumerate(zip(gradients, vectors, strict=True)):
            step, mean, square, root, correction = self._moments(index, gradient)
            largest = self.largest[index]
            bend = step * ((1 - beta2) / (1 - beta2 ** (self.steps[index] + 1))) / root
            bend = torch.where(root > 0, bend, torch.zeros_like(bend))
            if self.amsgrad and largest is not None:
                bend = torch.where(square >= largest, bend, torch.zeros_like(bend))
            denominator = root + self.eps
            slope = (1 - beta1) / correction / denominator - mean / correction / denominator**2 * bend
            pulled.append(vector * (-slope if self.maximize else slope))
        return pulled


@dataclass(frozen=True)
class GroupedLookahead:
    """Several parameter groups side by side; s is the largest one's, and the others' vectors are scaled to it."""

    parts: list[SGDLookahead | AdamLookahead]

    @property
    def parameters(self) -> Tensors:
        return [parameter for part in self.parts for parameter in part.parameters]

    @property
    def rate(self) -> float:
        return max((part.rate for part in self.parts), default=0.0)

    def ahead(self, gradients: Tensors) -> Tensors:
        rest = iter(gradients)
        return [place for part in self.parts for place in part.ahead([next(rest) for _ in part.parameters])]

    def pull(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        top = self.rate
        pairs = iter(zip(gradients, vectors, strict=True))
        pulled: list[Tensor] = []
        for part in self.parts:
            mine = [next(pairs) for _ in part.parameters]
            moved = part.pull([g for g, _ in mine], [v for _, v in mine])
            pulled += moved if part.rate == top else [m * (part.rate / top) for m in moved]
        return pulled


def lookahead_of(optimizer: Optimizer) -> Lookahead:
    """The step that `optimizer` will take with the gradients its parameters hold now.

    Parameters without a gradient stay where they are, as in `torch.optim`.
    Raises ValueError for an optimiser other than SGD, Adam and AdamW.
    """
    parts: list[SGDLookahead | AdamLookahead] = []
    for group in optimizer.param_groups:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        if type(optimizer) is SGD:
            parts += _sgd(group, parameters, optimizer.state)
        elif type(optimizer) in (Adam, AdamW):
            parts.append(_adam(group, parameters, optimizer.state, type(optimizer) is AdamW))
        else:
            raise ValueError(
                f"optimizer: expected torch.optim.SGD, Adam or AdamW, got {type(optimizer).__name__}, whose lookahead "
                "is not known; use one of the three"
            )
    return parts[0] if len(parts) == 1 else GroupedLookahead(parts)


def _sgd(group: dict[str, Any], parameters: list[Tensor], state: Mapping[Tensor, Any]) -> list[SGDLookahead]:
    """A group's parameters, those that have a momentum buffer apart from those before their first step."""
    buffers = [state.get(parameter, {}).get("momentum_buffer") for parameter in parameters]
    started = [(p, b) for p, b in zip(parameters, buffers, strict=True) if b is not None]
    fresh = [p for p, b in zip(parameters, buffers, strict=True) if b is None]
    sides = [([p for p, _ in started], [b for _, b in started]), (fresh, None)]
    return [
        SGDLookahead(
            chosen,
            held,
            float(group["lr"]),
            group["momentum"],
            group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
        )
        for chosen, held in sides
        if chosen
    ]


def _adam(
    group: dict[str, Any], parameters: list[Tensor], state: Mapping[Tensor, Any], decoupled: bool
) -> AdamLookahead:
    states = [state.get(parameter, {}) for parameter in parameters]
    return AdamLookahead(
        parameters,
        [held.get("exp_avg") for held in states],
        [held.get("exp_avg_sq") for held in states],
        [held.get("max_exp_avg_sq") for held in states],
        [float(held.get("step", 0)) for held in states],
        lr=float(group["lr"]),
        betas=(float(group["betas"][0]), float(group["betas"][1])),
        eps=group["eps"],
        weight_decay=group["weight_decay"],
        decoupled=decoupled or group.get("decoupled_weight_decay", False),
        amsgrad=group["amsgrad"],
        maximize=group["maximize"],
    )
