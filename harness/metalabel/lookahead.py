"""The lookahead θ': the parameters after the optimiser's next step, and its derivative by the gradient.

    θ' = θ - update(g),    g = ∇θ L(θ, Y)

A lookahead reads the settings and the state of a `torch.optim` optimiser and changes neither. Its θ' equals what
`optimizer.step()` then does, to rounding. It is computed out of place and differentiably: double backward runs autograd
through it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from harness.metalabel.torch_internals import Tensors, foreach_add, foreach_mul, foreach_neg


class Lookahead(Protocol):
    """One optimiser step over `parameters`, all of which have a gradient.

    `rate` is s, the coefficient of the new gradient in the step. `parameters_after(g)` is θ'. `pullback(g, v)` is
    D v = (-∂θ'/∂g)ᵀ v / s, where D is diagonal, as every supported step is elementwise in g. Gradients, vectors and
    results are one tensor per parameter, of the parameter's shape.
    """

    @property
    def parameters(self) -> Tensors: ...

    @property
    def rate(self) -> float: ...

    def parameters_after(self, gradients: Tensors) -> Tensors: ...

    def pullback(self, gradients: Tensors, vectors: Tensors) -> Tensors: ...


@dataclass(frozen=True)
class SGDLookahead:
    """θ' = θ - η d, where b' = μ b + (1-τ)(g + λθ), and d = b', or with Nesterov d = g + λθ + μ b'.

    Before a parameter's first step there is no buffer b, and b' = g + λθ whatever the dampening τ. So s = η (1-τ), with
    Nesterov η (1 + μ(1-τ)), and D = 1.
    """

    parameters: Tensors
    buffers: Tensors | None  # momentum buffers of the optimiser
    group: Mapping[str, Any]  # settings of the parameter group

    @property
    def rate(self) -> float:
        momentum = self.group["momentum"]
        share = 1.0 if self.buffers is None or not momentum else 1.0 - self.group["dampening"]
        return float(self.group["lr"]) * (1.0 + momentum * share if self.group["nesterov"] else share)

    def parameters_after(self, gradients: Tensors) -> Tensors:
        momentum, dampening = self.group["momentum"], self.group["dampening"]
        steps = foreach_neg(gradients) if self.group["maximize"] else gradients
        if self.group["weight_decay"]:
            steps = foreach_add(steps, self.parameters, alpha=self.group["weight_decay"])
        if momentum:
            velocity = steps
            if self.buffers is not None:
                damped = foreach_mul(steps, 1 - dampening) if dampening else steps
                velocity = foreach_add(damped, self.buffers, alpha=momentum)
            steps = foreach_add(steps, velocity, alpha=momentum) if self.group["nesterov"] else velocity
        return foreach_add(self.parameters, steps, alpha=-float(self.group["lr"]))

    def pullback(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        return foreach_neg(vectors) if self.group["maximize"] else vectors


@dataclass(frozen=True)
class AdamLookahead:
    """θ' = θ - η·m̂ / (√v̂ + ε), with L2 decay inside g (Adam) or beside it (AdamW: θ shrinks by 1 - ηλ first).

    With m = β₁m₀ + (1-β₁)g and v = β₂v₀ + (1-β₂)g², hats for division by their bias corrections, and R = √v̂ + ε,

        D = (1-β₁)/(1-β₁ᵗ) / R  -  m̂/R² · ∂√v̂/∂g,    ∂√v̂/∂g = (1-β₂) g / ((1-β₂ᵗ) √v̂),    s = η.

    Where v̂ = 0, g = 0 too, and the second term is 0; where AMSGrad keeps an older maximum, √v̂ does not depend on g.
    """

    parameters: Tensors
    states: Sequence[Mapping[str, Any]]  # the optimiser's, one per parameter; empty before its first step
    group: Mapping[str, Any]  # settings of the parameter group
    decoupled: bool  # AdamW's decay

    @property
    def rate(self) -> float:
        return float(self.group["lr"])

    def _moments(self, index: int, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, float, float]:
        """g with its sign and decay, m, v, √v̂, 1-β₁ᵗ and 1-β₂ᵗ."""
        beta1, beta2 = map(float, self.group["betas"])
        state = self.states[index]
        step = -gradient if self.group["maximize"] else gradient
        if self.group["weight_decay"] and not self.decoupled:
            step = step.add(self.parameters[index], alpha=self.group["weight_decay"])
        mean, square = step * (1 - beta1), step * step * (1 - beta2)
        if state:
            mean = torch.lerp(state["exp_avg"], step, 1 - beta1)
            square = (state["exp_avg_sq"] * beta2).addcmul(step, step, value=1 - beta2)
        top = torch.maximum(state["max_exp_avg_sq"], square) if "max_exp_avg_sq" in state else square
        count = float(state.get("step", 0)) + 1
        # The root has an infinite slope at 0: keep autograd out of it, as `pullback` does.
        root = torch.where(top > 0, top, torch.ones_like(top)).sqrt() * (top > 0)
        return step, mean, square, root / (1 - beta2**count) ** 0.5, 1 - beta1**count, 1 - beta2**count

    def parameters_after(self, gradients: Tensors) -> Tensors:
        results = []
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            _, mean, _, root, correction, _ = self._moments(index, gradient)
            start = parameter * (1 - self.rate * self.group["weight_decay"]) if self.decoupled else parameter
            results.append(start.addcdiv(mean, root + self.group["eps"], value=-self.rate / correction))
        return results

    def pullback(self, gradients: Tensors, vectors: Tensors) -> Tensors:
        beta1, beta2 = map(float, self.group["betas"])
        results = []
        for index, (gradient, vector) in enumerate(zip(gradients, vectors, strict=True)):
            step, mean, square, root, correction1, correction2 = self._moments(index, gradient)
            root_slope = torch.where(root > 0, step * ((1 - beta2) / correction2) / root, torch.zeros_like(root))
            if (largest := self.states[index].get("max_exp_avg_sq")) is not None:
                root_slope = torch.where(square >= largest, root_slope, torch.zeros_like(root_slope))
            denominator = root + self.group["eps"]
            slope = (1 - beta1) / correction1 / denominator - mean / correction1 / denominator**2 * root_slope
            results.append(vector * (-slope if self.group["maximize"] else slope))
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
        states = [optimizer.state.get(parameter, {}) for parameter in parameters]
        if type(optimizer) is SGD:
            parts += _sgd(group, parameters, states)
        elif type(optimizer) in (Adam, AdamW):
            decoupled = type(optimizer) is AdamW or group.get("decoupled_weight_decay", False)
            parts.append(AdamLookahead(parameters, states, group, decoupled))
        else:
            raise ValueError(
                f"optimizer: expected torch.optim.SGD, Adam or AdamW, got {type(optimizer).__name__}, whose lookahead "
                "is not known; use one of the three"
            )
    return parts[0] if len(parts) == 1 else GroupedLookahead(parts)


def _sgd(
    group: Mapping[str, Any], parameters: list[Tensor], states: Sequence[Mapping[str, Any]]
) -> Iterator[SGDLookahead]:
    """Up to two lookaheads: of the parameters with a momentum buffer, and of those before their first step."""
    buffers = [state.get("momentum_buffer") for state in states]
    pairs = [(p, b) for p, b in zip(parameters, buffers, strict=True) if b is not None]
    fresh = [p for p, b in zip(parameters, buffers, strict=True) if b is None]
    if pairs:
        yield SGDLookahead([p for p, _ in pairs], [b for _, b in pairs], group)
    if fresh:
        yield SGDLookahead(fresh, None, group)
