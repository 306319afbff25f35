"""The lookahead θ': the parameters after the optimiser's next step, and its derivative by the gradient.

    θ' = θ - update(g),    g = ∇θ L(θ, Y)

A lookahead reads the settings and the state of a `torch.optim` optimiser and changes neither. Its θ' equals what
`optimizer.step()` then does, to rounding. It is computed out of place and differentiably: double backward runs autograd
through it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from harness.metalabel.clipping import clip, clip_pullback
from harness.metalabel.torch_internals import Tensors, foreach_add, foreach_mul, foreach_neg

Number = float | Tensor  # a tensor [] where the optimiser is in capturable form: its value is read on the device alone
State = Mapping[str, Any]  # what the optimiser keeps of one parameter; empty before its first step
Vectors = Sequence[Tensor | None]  # one per parameter; None for one that is left out, where `meta_step` has `last`

_PLAIN_SGD = {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False, "maximize": False}


@dataclass(frozen=True)
class SGDStep:
    """θ' = θ - η d, where b' = μ b + (1-τ)(g + λθ), and d = b', or with Nesterov d = g + λθ + μ b'.

    Before a parameter's first step there is no buffer b, and b' = g + λθ whatever the dampening τ. So s = η (1-τ), with
    Nesterov η (1 + μ(1-τ)), and D = 1.
    """

    parameters: Tensors
    buffers: Tensors | None  # momentum buffers
    group: Mapping[str, Any]  # settings of the parameter group

    @property
    def rate(self) -> Number:
        momentum = self.group["momentum"]
        share = 1.0 if self.buffers is None or not momentum else 1.0 - self.group["dampening"]
        return _lr(self.group) * (1.0 + momentum * share if self.group["nesterov"] else share)

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
        lr = _lr(self.group)
        if isinstance(lr, Tensor):
            return foreach_add(self.parameters, foreach_mul(steps, -lr))
        return foreach_add(self.parameters, steps, alpha=-lr)

    def pullback(self, gradients: Tensors, vectors: Vectors) -> Vectors:
        return _scale(vectors, -1) if self.group["maximize"] else vectors


@dataclass(frozen=True)
class AdamStep:
    """θ' = θ - η·m̂ / (√v̂ + ε), with L2 decay inside g (Adam) or beside it (AdamW: θ shrinks by 1 - ηλ first).

    With m = β₁m₀ + (1-β₁)g and v = β₂v₀ + (1-β₂)g², hats for division by their bias corrections, and R = √v̂ + ε,

        D = (1-β₁)/(1-β₁ᵗ) / R  -  m̂/R² · ∂√v̂/∂g,    ∂√v̂/∂g = (1-β₂) g / ((1-β₂ᵗ) √v̂),    s = η.

    Where v̂ = 0, g = 0 too, and the second term is 0; where AMSGrad keeps an older maximum, √v̂ does not depend on g.
    """

    parameters: Tensors
    states: Sequence[State]
    group: Mapping[str, Any]  # settings of the parameter group
    decoupled: bool  # AdamW's decay

    @property
    def rate(self) -> Number:
        return _lr(self.group)

    def _moments(self, index: int, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Number, Number]:
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
        steps = state.get("step", 0)
        count = (steps.double() if self.group.get("fused") and state else float(steps)) + 1
        # The root has an infinite slope at 0: keep autograd out of it, as `pullback` does.
        root = torch.where(top > 0, top, torch.ones_like(top)).sqrt() * (top > 0)
        return step, mean, square, root / (1 - beta2**count) ** 0.5, 1 - beta1**count, 1 - beta2**count

    def parameters_after(self, gradients: Tensors) -> Tensors:
        results = []
        for index, (parameter, gradient) in enumerate(zip(self.parameters, gradients, strict=True)):
            _, mean, _, root, correction, _ = self._moments(index, gradient)
            start = parameter * (1 - self.rate * self.group["weight_decay"]) if self.decoupled else parameter
            results.append(start.addcdiv(mean * (-self.rate / correction), root + self.group["eps"]))
        return results

    def pullback(self, gradients: Tensors, vectors: Vectors) -> Vectors:
        beta1, beta2 = map(float, self.group["betas"])
        results: list[Tensor | None] = []
        for index, (gradient, vector) in enumerate(zip(gradients, vectors, strict=True)):
            if vector is None:
                results.append(None)
                continue
            step, mean, square, root, correction1, correction2 = self._moments(index, gradient)
            root_slope = torch.where(root > 0, step * ((1 - beta2) / correction2) / root, torch.zeros_like(root))
            if (largest := self.states[index].get("max_exp_avg_sq")) is not None:
                root_slope = torch.where(square >= largest, root_slope, torch.zeros_like(root_slope))
            denominator = root + self.group["eps"]
            slope = (1 - beta1) / correction1 / denominator - mean / correction1 / denominator**2 * root_slope
            results.append(vector * (-slope if self.group["maximize"] else slope))
        return results


class Lookahead:
    """The step that an optimiser takes next, with the gradients its parameters have now; those without do not move.

    Gradients, vectors and results are one tensor per entry of `parameters`, of its shape. `rate` is s, the coefficient
    of the new gradient in the step: the largest of its parts, to which D of the others is scaled.

    Args:
        optimizer: SGD, Adam or AdamW of torch; with `lookahead_lr` any.
        lookahead_lr: rate of a plain SGD step, which is looked ahead by in place of the optimiser's.
        max_grad_norm: norm to which the gradients are clipped before the step (`clipping`).

    Raises:
        ValueError: an optimiser without a known lookahead, or without a parameter that has a gradient.
    """

    def __init__(
        self, optimizer: Optimizer, *, lookahead_lr: float | None = None, max_grad_norm: float | None = None
    ) -> None:
        groups = optimizer.param_groups
        if lookahead_lr is None:
            self.parts = [part for group in groups for part in _parts(optimizer, group)]
        else:
            moving = [parameter for group in groups for parameter in group["params"] if parameter.grad is not None]
            self.parts = [SGDStep(moving, None, {**_PLAIN_SGD, "lr": lookahead_lr})]
        self.parameters: Tensors = [parameter for part in self.parts for parameter in part.parameters]
        if not self.parameters:
            raise ValueError(
                "optimizer: expected parameters that the logits depend on, got none with a gradient; build it from "
                "model.parameters() of this model"
            )
        rates = [part.rate for part in self.parts]
        self.rate = rates[0] if len(rates) == 1 else _largest(rates)
        self.max_grad_norm = max_grad_norm

    def parameters_after(self, gradients: Tensors) -> Tensors:
        """θ'."""
        pairs = zip(self.parts, self._split(self._clip(gradients)), strict=True)
        return [value for part, own in pairs for value in part.parameters_after(own)]

    def pullback(self, gradients: Tensors, vectors: Vectors) -> Vectors:
        """D v = (-∂θ'/∂g)ᵀ v / s; D is diagonal, as every supported step is elementwise in g, unless g is clipped.

        Where vectors are None, so are results: those parts of v and of D v are left out.
        """
        results: list[Tensor | None] = []
        clipped = self._split(self._clip(gradients))
        for part, own, vector in zip(self.parts, clipped, self._split(vectors), strict=True):
            tensors = part.pullback(own, vector)
            results += tensors if len(self.parts) == 1 else _scale(tensors, _ratio(part.rate, self.rate))
        return results if self.max_grad_norm is None else clip_pullback(gradients, results, self.max_grad_norm)

    def gradient_scale(self, batch: int) -> Number:
        """B/s, or 0 for a step that does not move."""
        return _ratio(batch, self.rate)

    def _clip(self, gradients: Tensors) -> Tensors:
        return gradients if self.max_grad_norm is None else clip(gradients, self.max_grad_norm)

    def _split(self, tensors: Any) -> list[Any]:
        if len(self.parts) == 1:
            return [tensors]
        rest = iter(tensors)
        return [[next(rest) for _ in part.parameters] for part in self.parts]


def _lr(group: Mapping[str, Any]) -> Number:
    lr: Number = group["lr"]
    return lr if isinstance(lr, Tensor) and group.get("fused") else float(lr)


def _largest(rates: Sequence[Number]) -> Number:
    return torch.stack(rates).amax() if isinstance(rates[0], Tensor) else max(rates)  # type: ignore[arg-type]


def _ratio(share: Number, rate: Number) -> Number:
    """share/rate, or 0 where the rate is 0."""
    if isinstance(rate, Tensor):
        return (share / rate).where(rate > 0, 0.0)
    return share / rate if rate else 0.0


def _scale(vectors: Vectors, factor: Number) -> Vectors:
    return [None if vector is None else vector * factor for vector in vectors]


def _parts(optimizer: Optimizer, group: Mapping[str, Any]) -> Iterator[SGDStep | AdamStep]:
    """The steps of a group's parameters: with SGD, of those that have a momentum buffer and of the others."""
    moving = [(p, optimizer.state.get(p, {})) for p in group["params"] if p.grad is not None]
    if type(optimizer) is SGD:
        buffered = [(p, buffer) for p, state in moving if (buffer := state.get("momentum_buffer")) is not None]
        if buffered:
            yield SGDStep([p for p, _ in buffered], [buffer for _, buffer in buffered], group)
        if len(buffered) < len(moving):
            yield SGDStep([p for p, state in moving if state.get("momentum_buffer") is None], None, group)
    elif type(optimizer) in (Adam, AdamW):
        decoupled = type(optimizer) is AdamW or group.get("decoupled_weight_decay", False)
        if moving:
            yield AdamStep([p for p, _ in moving], [state for _, state in moving], group, decoupled)
    else:
        raise ValueError(
            f"optimizer: expected torch.optim.SGD, Adam or AdamW, got {type(optimizer).__name__}, whose lookahead "
            "is not known; use one of the three, or pass lookahead_lr, the rate of a plain SGD step to look ahead by"
        )
