"""The lookahead θ': the parameters after the optimiser's next step, and its derivative by the gradient.

    θ' = θ - update(g),    g = ∇θ L(θ, Y)

A lookahead reads the settings and the state of a `torch.optim` optimiser and changes neither. Its θ' equals what
`optimizer.step()` then does, to rounding. It is computed out of place and differentiably: double backward runs autograd
through it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from harness.metalabel.torch_internals import Tensors, foreach_add, foreach_mul, foreach_neg


class Lookahead(Protocol):
    """One optimiser step over `parameters`, all of which have a gradient.

    Gradients, vectors and results are one tensor per parameter, of the parameter's shape.
    """

    @property
    def parameters(self) -> Tensors: ...

    @property
    def rate(self) -> float:
        """s: the coefficient of the new gradient in the step; for plain SGD the learning rate."""
        ...

    def parameters_after(self, gradients: Tensors) -> Tensors:
        """θ' for these gradients."""
        ...

    def pullback(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        """D v = (-∂θ'/∂g)ᵀ v / s. Every supported step is elementwise in g, so D is diagonal."""
        ...


@dataclass(frozen=True)
class SGDLookahead:
    """θ' = θ - η d, where b' = μ b + (1-τ)(g + λθ), and d = b', or with Nesterov d = g + λθ + μ b'.

    Before a parameter's first step there is no buffer b, and b' = g + λθ whatever the dampening τ. So s = η (1-τ), with
    Nesterov η (1 + μ(1-τ)), and D = 1.
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
        share = 1.0 if self.buffers is None or not self.momentum else 1.0 - self.dampening
        return self.lr * (1.0 + self.momentum * share if self.nesterov else share)

    def parameters_after(self, gradients: Tensors) -> Tensors:
        steps: Tensors = gradients
        if self.maximize:
            steps = foreach_neg(steps)
        if self.weight_decay:
            steps = foreach_add(steps, self.parameters, alpha=self.weight_decay)
        if self.momentum:
            velocity: Tensors = steps
            if self.buffers is not None:
                damped = foreach_mul(steps, 1 - self.dampening) if self.dampening else steps
                velocity = foreach_add(damped, self.buffers, alpha=self.momentum)
            steps = foreach_add(steps, velocity, alpha=self.momentum) if self.nesterov else velocity
        return foreach_add(self.parameters, steps, alpha=-self.lr)

    def pullback(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        return foreach_neg(vectors) if self.maximize else vectors


@dataclass(frozen=True)
class AdamLookahead:
    """θ' = θ - η·m̂ / (√v̂ + ε), with L2 decay inside g (Adam) or beside it (AdamW: θ shrinks by 1 - ηλ first).

    With m = β₁m₀ + (1-β₁)g and v = β₂v₀ + (1-β₂)g², hats for division by their bias corrections, and R = √v̂ + ε,

        D = (1-β₁)/(1-β₁ᵗ) / R  -  m̂/R² · ∂√v̂/∂g,    ∂√v̂/∂g = (1-β₂) g / ((1-β₂ᵗ) √v̂),    s = η.

    Where v̂ = 0, g = 0 too, and the second term is 0; where AMSGrad keeps an older maximum, √v̂ does not depend on g.
    """

    parameters: Tensors
    first: Sequence[Tensor | None]  # m₀
    second: Sequence[Tensor | None]  # v₀
    largest: Sequence[Tensor | None]  # AMSGrad's maximum of v
    steps: Sequence[float]
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float = 0.0
    decoupled: bool = False  # AdamW's decay
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
        top = torch.maximum(largest, square) if self.amsgrad and largest is not None else square
        count = self.steps[index] + 1
        # The root has an infinite slope at 0: keep autograd out of it, as `pullback` does.
        root = torch.where(top > 0, top, torch.ones_like(top)).sqrt() * (top > 0)
        return step, mean, square, root / (1 - beta2**count) ** 0.5, 1 - beta1**count

    def parameters_after(self, gradients: Tensors) -> Tensors:
        results = []
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            _, mean, _, root, correction = self._moments(index, gradient)
            start = parameter * (1 - self.lr * self.weight_decay) if self.decoupled else parameter
            results.append(start.addcdiv(mean, root + self.eps, value=-self.lr / correction))
        return results

    def pullback(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        beta1, beta2 = self.betas
        results = []
        for index, (gradient, vector) in enumerate(zip(gradients, vectors, strict=True)):
            step, mean, square, root, correction = self._moments(index, gradient)
            largest = self.largest[index]
            root_slope = step * ((1 - beta2) / (1 - beta2 ** (self.steps[index] + 1))) / root
            root_slope = torch.where(root > 0, root_slope, torch.zeros_like(root_slope))
            if self.amsgrad and largest is not None:
                root_slope = torch.where(square >= largest, root_slope, torch.zeros_like(root_slope))
            denominator = root + self.eps
            slope = (1 - beta1) / correction / denominator - mean / correction / denominator**2 * root_slope
            results.append(vector * (-slope if self.maximize else slope))
        return results


@dataclass(frozen=True)
class GroupedLookahead:
    """Lookaheads of several parameter groups; s is the largest of theirs, and D of the others is scaled to it."""

    parts: Sequence[SGDLookahead | AdamLookahead]

    @property
    def parameters(self) -> Tensors:
        return [parameter for part in self.parts for parameter in part.parameters]

    @property
    def rate(self) -> float:
        return max((part.rate for part in self.parts), default=0.0)

    def parameters_after(self, gradients: Tensors) -> Tensors:
        rest = iter(gradients)
        return [
            tensor for part in self.parts for tensor in part.parameters_after([next(rest) for _ in part.parameters])
        ]

    def pullback(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        top = self.rate
        pairs = iter(zip(gradients, vectors, strict=True))
        results: list[Tensor] = []
        for part in self.parts:
            own = [next(pairs) for _ in part.parameters]
            tensors = part.pullback([g for g, _ in own], [v for _, v in own])
            results += tensors if part.rate == top else [tensor * (part.rate / top) for tensor in tensors]
        return results


def make_lookahead(optimizer: Optimizer) -> Lookahead:
    """The step that `optimizer` takes next, with the gradients its parameters have now.

    Parameters without a gradient do not move, as in `torch.optim`.

    Raises:
        ValueError: the optimiser is not SGD, Adam or AdamW.
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
    """Up to two lookaheads: of the parameters with a momentum buffer, and of those before their first step."""
    names = ("momentum", "dampening", "weight_decay", "nesterov", "maximize")
    options = {"lr": float(group["lr"])} | {name: group[name] for name in names}
    buffers = [state.get(parameter, {}).get("momentum_buffer") for parameter in parameters]
    pairs = [(p, b) for p, b in zip(parameters, buffers, strict=True) if b is not None]
    fresh = [p for p, b in zip(parameters, buffers, strict=True) if b is None]
    lookaheads = []
    if pairs:
        lookaheads.append(SGDLookahead([p for p, _ in pairs], [b for _, b in pairs], **options))
    if fresh:
        lookaheads.append(SGDLookahead(fresh, None, **options))
    return lookaheads


def _adam(
    group: dict[str, Any], parameters: list[Tensor], state: Mapping[Tensor, Any], decoupled: bool
) -> AdamLookahead:
    states = [state.get(parameter, {}) for parameter in parameters]
    return AdamLookahead(
        parameters,
        [own.get("exp_avg") for own in states],
        [own.get("exp_avg_sq") for own in states],
        [own.get("max_exp_avg_sq") for own in states],
        [float(own.get("step", 0)) for own in states],
        lr=float(group["lr"]),
        betas=(float(group["betas"][0]), float(group["betas"][1])),
        eps=group["eps"],
        weight_decay=group["weight_decay"],
        decoupled=decoupled or group.get("decoupled_weight_decay", False),
        amsgrad=group["amsgrad"],
        maximize=group["maximize"],
    )
