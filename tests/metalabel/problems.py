"""What the tests of the label gradient are run on: random small networks and batches in float64, and the gradient
worked out once more, by code that shares nothing with the package's."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from harness.metalabel import compute_label_gradient

from .models import MODELS, residual

# A float64 gradient passes through a few hundred roundings of relative size 1e-16 each; entries may cancel, so the
# comparison is with the largest entry of the gradient.
EXACT = 1e-10
EXACT_ESTIMATORS = ("forward", "forward_recompute", "double_backward")
ESTIMATORS = (*EXACT_ESTIMATORS, "finite_difference")


@dataclass(frozen=True)
class Problem:
    """A model in train mode with a training and a meta batch."""

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    meta_inputs: Tensor
    meta_targets: Tensor

    @property
    def batches(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.inputs, self.labels, self.meta_inputs, self.meta_targets

    def gradient(self, lr: float = 0.3, estimator: Any = "forward") -> Tensor:
        """∂M/∂Y by the package."""
        return compute_label_gradient(self.model, *self.batches, lookahead_lr=lr, label_gradient=estimator)


def make_problem(
    build: Callable[[], nn.Module],
    shape: tuple[int, ...],
    classes: int,
    *,
    batch: int = 6,
    meta_batch: int = 5,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Problem:
    """The model built and the batches drawn from one seed; running statistics start away from their defaults."""
    torch.manual_seed(seed)
    model = build().to(dtype).train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_()
    return Problem(
        model,
        torch.randn(batch, *shape, dtype=dtype),
        torch.randn(batch, classes, dtype=dtype).mul(2).softmax(dim=-1),
        torch.randn(meta_batch, *shape, dtype=dtype),
        torch.randn(meta_batch, classes, dtype=dtype).mul(2).softmax(dim=-1),
    )


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "batch, not affine": lambda channels: nn.BatchNorm2d(channels, affine=False),
    "group": lambda channels: nn.GroupNorm(2, channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "leaky relu": lambda: nn.LeakyReLU(0.1),
}


def problem_of_model(name: str) -> Problem:
    """A problem for one of `MODELS`."""
    build, shape = MODELS[name]

    def initialised() -> nn.Module:
        model = build()
        model(torch.randn(2, *shape))  # lazy layers take their shapes
        return model

    return make_problem(initialised, shape, initialised()(torch.randn(2, *shape)).shape[-1])


@st.composite
def perceptrons(draw: st.DrawFn, activations: Sequence[str] = tuple(ACTIVATIONS)) -> Problem:
    """Up to three hidden layers with BatchNorm, LayerNorm, dropout or neither."""
    features, classes = draw(st.integers(1, 6)), draw(st.integers(2, 7))
    sizes = draw(st.lists(st.integers(1, 7), max_size=3))
    norms = [draw(st.sampled_from(["none", "batch", "layer"])) for _ in sizes]
    activation = ACTIVATIONS[draw(st.sampled_from(sorted(activations)))]
    dropout = draw(st.sampled_from([0.0, 0.3]))
    bias = draw(st.booleans())

    def build() -> nn.Module:
        layers: list[nn.Module] = []
        before = features
        for size, norm in zip(sizes, norms, strict=True):
            layers += [nn.Linear(before, size, bias=bias)]
            layers += {"none": [], "batch": [nn.BatchNorm1d(size)], "layer": [nn.LayerNorm(size)]}[norm]
            layers += [activation(), nn.Dropout(dropout)]
            before = size
        return nn.Sequential(*layers, nn.Linear(before, classes))

    return make_problem(build, (features,), classes, **_sizes(draw))


@st.composite
def convolutional(draw: st.DrawFn) -> Problem:
    """A convolution, a residual block and a pooling, with any of the norms and activations."""
    channels, classes = 2 * draw(st.integers(1, 3)), draw(st.integers(2, 6))
    norm = NORMS[draw(st.sampled_from(sorted(NORMS)))]
    activation = ACTIVATIONS[draw(st.sampled_from(sorted(ACTIVATIONS)))]
    stride, groups = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 2]))
    pool = draw(st.sampled_from(["max", "average", "adaptive"]))
    channels_last = draw(st.booleans())

    def build() -> nn.Module:
        pools = {"max": nn.MaxPool2d(2), "average": nn.AvgPool2d(2), "adaptive": nn.AdaptiveAvgPool2d(1)}
        model = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride, padding=1, bias=False),
            norm(channels),
            activation(),
            residual(nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, groups=groups), norm(channels))),
            activation(),
            nn.Dropout(0.2),
            pools[pool],
            nn.Flatten(),
            nn.LazyLinear(classes),
        )
        model(torch.randn(2, 3, 6, 6))
        return model.to(memory_format=torch.channels_last) if channels_last else model

    return make_problem(build, (3, 6, 6), classes, **_sizes(draw))


def _sizes(draw: st.DrawFn) -> dict[str, int]:
    return {
        "batch": draw(st.integers(2, 9)),
        "meta_batch": draw(st.integers(2, 9)),
        "seed": draw(st.integers(0, 2**31)),
    }


def by_double_backward(problem: Problem, lookahead_lr: float, last: int = 0) -> Tensor:
    """∂M/∂Y by `functional_call` and autograd alone; draws random numbers as a training and a meta pass would.

    With `last`, all parameters but the last so many step as if their gradients did not depend on the labels.
    """
    model, (inputs, labels, meta_inputs, meta_targets) = problem.model, problem.batches
    free = labels.clone().requires_grad_()
    weights = {name: w for name, w in model.named_parameters() if w.requires_grad}

    def buffers() -> dict[str, Tensor]:
        return {name: buffer.clone() for name, buffer in model.named_buffers()}

    with torch.random.fork_rng():
        logits = torch.func.functional_call(model, {**weights, **buffers()}, inputs)
        loss = F.cross_entropy(logits, free)
        gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True, allow_unused=True)
        following = [*weights][-last:]
        ahead = {
            name: w if g is None else w - lookahead_lr * (g if name in following else g.detach())
            for (name, w), g in zip(weights.items(), gradients, strict=True)
        }
        meta_logits = torch.func.functional_call(model, {**ahead, **buffers()}, meta_inputs)
        (gradient,) = torch.autograd.grad(F.cross_entropy(meta_logits, meta_targets), free, materialize_grads=True)
    return gradient


def meta_loss_after_step(
    problem: Problem, labels: Tensor, optimizer: torch.optim.Optimizer, max_norm: float | None = None
) -> float:
    """M(Y), read after a copy of the optimiser has really taken the step for `labels`, its gradients clipped."""
    model, stepper = deepcopy((problem.model, optimizer))
    stepper.zero_grad()
    with torch.random.fork_rng():
        F.cross_entropy(model(problem.inputs), labels).backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        stepper.step()
        with torch.no_grad():
            return float(F.cross_entropy(model(problem.meta_inputs), problem.meta_targets))


def random_state() -> Tensor:
    """Of all generators that a pass may draw from, in one."""
    return torch.cat([torch.get_rng_state(), *torch.cuda.get_rng_state_all()])


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Largest difference over the largest entry of the reference; an all-zero reference admits only zeros."""
    difference = float((value - reference).abs().max())
    return difference / float(reference.abs().max()) if difference else 0.0
