"""The label gradient by way of the last parameters alone: exact with v set to zero for all others, and cheaper."""

import weakref
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from harness.metalabel import MetaStep, count_last_parameters, meta_step, soft_cross_entropy
from harness.training.models import build_model

from .models import MODELS, residual
from .problems import (
    ESTIMATORS,
    EXACT,
    EXACT_ESTIMATORS,
    Problem,
    by_double_backward,
    convolutional,
    make_problem,
    perceptrons,
    problem_of_model,
    relative_error,
)

LR = 0.3


def trainable(model: nn.Module) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def step_of(problem: Problem, last: int | None, estimator: Any = "forward", **options: Any) -> MetaStep:
    """A meta-step of a copy of the problem's model, with the random numbers of this moment."""
    model = deepcopy(problem.model)
    with torch.random.fork_rng():
        optimizer = SGD(model.parameters(), lr=LR)
        return meta_step(model, optimizer, *problem.batches, label_gradient=estimator, last=last, **options)


def assert_exact(problem: Problem, last: int) -> None:
    reference = by_double_backward(problem, LR, last)
    # A gradient of pure rounding noise: relative agreement has no meaning.
    if float(reference.abs().max()) < 1e-14:
        return
    for estimator in EXACT_ESTIMATORS:
        assert relative_error(step_of(problem, last, estimator).gradient, reference) < EXACT, (estimator, last)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(perceptrons(), convolutional()), st.integers(1, 9))
def test_it_equals_double_backward_with_all_other_parameters_held(problem: Problem, last: int) -> None:
    assert_exact(problem, min(last, len(trainable(problem.model))))


@pytest.mark.parametrize("name", MODELS)
def test_any_model_that_autograd_can_follow_has_one(name: str) -> None:
    problem = problem_of_model(name)
    tensors = len(trainable(problem.model))
    unused = 2 if name == "a parameter without a path" else 0  # the last layer is detached from the logits
    with torch.backends.cudnn.flags(enabled=False):
        for last in {1 + 2 * unused, max(1, tensors // 2), tensors}:
            assert_exact(problem, last)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.Tanh())),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(100, 3),
    )


def problem_of_network(dtype: torch.dtype = torch.float64) -> Problem:
    return make_problem(network, (3, 5, 5), 3, dtype=dtype)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("last", [1, 2, 6, 99])
def test_gradients_loss_and_statistics_are_those_of_a_plain_step(estimator: Any, last: int) -> None:
    problem = problem_of_network()
    plain = deepcopy(problem.model)
    with torch.random.fork_rng():
        loss = soft_cross_entropy(plain(problem.inputs), problem.labels)
        loss.backward()
    model = problem.model
    step = meta_step(model, SGD(model.parameters(), lr=LR), *problem.batches, label_gradient=estimator, last=last)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert ours.requires_grad
        assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)  # sums in another order
    for ours, theirs in zip(model.buffers(), plain.buffers(), strict=True):
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(step.loss, loss.detach())
    assert not any(tensor.requires_grad for tensor in (step.loss, step.logits, step.meta_loss, step.gradient))


def test_with_all_parameters_it_is_the_whole_gradient() -> None:
    problem = problem_of_network()
    tensors = len(trainable(problem.model))
    torch.testing.assert_close(step_of(problem, tensors).gradient, step_of(problem, None).gradient, rtol=1e-12, atol=0)


def test_the_meta_loss_and_the_scale_are_those_of_the_whole_lookahead() -> None:
    problem = problem_of_network()
    some, whole = step_of(problem, 2), step_of(problem, None)
    assert torch.equal(some.meta_loss, whole.meta_loss)
    assert some.scale == whole.scale
    assert relative_error(some.gradient, whole.gradient) > 0.01


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize("max_norm", [None, 0.05, 100.0])
def test_the_optimiser_s_step_enters_in_these_parameters_alone(
    kind: Callable[..., Optimizer], max_norm: float | None
) -> None:
    """The shares of two parts of the parameters add up to the whole gradient, unless the norm is clipped."""
    problem = problem_of_network()
    names = [name for name, _ in problem.model.named_parameters()]

    def gradient(last: int | None, frozen: int = 0) -> Tensor:
        model = deepcopy(problem.model)
        groups = [{"params": [*model.parameters()][:3], "lr": 0.02}, {"params": [*model.parameters()][3:]}]
        optimizer = kind(groups, lr=0.1)
        with torch.random.fork_rng():
            for _ in range(2):  # moments
                optimizer.zero_grad()
                soft_cross_entropy(model(problem.inputs), problem.labels).backward()
                optimizer.step()
            return meta_step(model, optimizer, *problem.batches, max_grad_norm=max_norm, last=last).gradient

    shares = [gradient(last) for last in range(1, len(names) + 1)]
    assert all(not torch.equal(some, more) for some, more in pairwise(shares))
    assert relative_error(shares[-1], gradient(None)) < 1e-9  # Adam divides by small roots


def test_a_finite_difference_comes_close() -> None:
    problem = problem_of_network()
    exact, close = step_of(problem, 2).gradient, step_of(problem, 2, "finite_difference").gradient
    assert relative_error(close, exact) < 1e-5


def test_hooks_that_change_a_gradient_count_once() -> None:
    """On both sides of the cut and at it; there is none to change where the meta pass records no graph."""
    problem = problem_of_network()

    def scale_by(factor: float) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, out: Tensor) -> None:
            if out.requires_grad:
                out.register_hook(lambda gradient: gradient * factor)

        return hook

    for model in (problem.model, plain := deepcopy(problem.model)):
        model[-1].weight.register_hook(lambda gradient: gradient * 3.0)
        model[5].register_forward_hook(scale_by(2.0))  # the head's input
        model[1].register_forward_hook(scale_by(0.7))
    with torch.random.fork_rng():
        soft_cross_entropy(plain(problem.inputs), problem.labels).backward()
    meta_step(problem.model, SGD(problem.model.parameters(), lr=LR), *problem.batches, last=2)
    for ours, theirs in zip(problem.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


class Held:
    """A tensor that an operation saved."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def test_the_graph_below_the_last_parameters_is_freed_before_the_meta_pass() -> None:
    problem = problem_of_network()
    model = problem.model
    saved: list[weakref.ref[Held]] = []
    alive: list[int] = []

    def pack(tensor: Tensor) -> Held:
        saved.append(weakref.ref(held := Held(tensor)))
        return held

    def compute_logits(inputs: Tensor) -> Tensor:
        if saved:  # the meta pass
            alive.append(sum(reference() is not None for reference in saved))
            return model(inputs)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
            return model(inputs)

    for last in (99, 2):
        saved.clear()
        optimizer = SGD(model.parameters(), lr=LR)
        meta_step(model, optimizer, *problem.batches, last=last, compute_logits=compute_logits)
    assert alive[0] == len(saved)
    assert 0 < alive[1] <= 2  # the head's input and weight


@pytest.mark.parametrize(
    ("name", "shape", "head", "block"),
    [
        ("linear", (1, 4, 4), 2, 2),
        ("mlp", (1, 4, 4), 2, 4),
        ("cnn", (3, 8, 8), 2, 5),
        ("resnet18", (3, 8, 8), 2, 8),
        ("wrn28", (3, 8, 8), 2, 10),
    ],
)
def test_the_head_and_the_last_block_of_the_networks(name: str, shape: tuple[int, ...], head: int, block: int) -> None:
    model = build_model(name, torch.Size(shape), 3, 2)
    assert count_last_parameters(model, "all") is None
    assert count_last_parameters(model, "head") == head
    assert count_last_parameters(model, "block") == block


class Encoder(nn.Module):
    """A stack of blocks and what stands about it, as a transformer holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(4))
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(4, 2, 8) for _ in range(3)])
        self.norm = nn.LayerNorm(4)


def test_layers_of_one_s_own_modules() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.heads = Encoder(), nn.Sequential(nn.Linear(4, 3))

    model = Model()
    block = len([*model.encoder.layers[-1].parameters()])
    assert count_last_parameters(model, "head") == 2
    assert count_last_parameters(model, "block") == 2 + 2 + block  # the head, the norm, a layer
    assert count_last_parameters(nn.Sequential(model), "block") == 2 + 2 + block
    model.heads[0].bias.requires_grad_(False)
    assert count_last_parameters(model, "head") == 1
    assert count_last_parameters(nn.Linear(3, 2), "block") == 2


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (0, r"last: expected a number of parameter tensors from 1 on, got 0; pass None for all"),
        (True, r"last: expected a number"),
        (2.0, r"last: expected a number"),
    ],
)
def test_a_number_that_is_none_is_refused(last: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        step_of(problem_of_network(), last)


def test_layers_and_parameters_that_are_not_there_are_refused() -> None:
    problem = problem_of_network()
    with pytest.raises(ValueError, match="layers: expected all, block or head, got 'tail'"):
        count_last_parameters(problem.model, "tail")  # type: ignore[arg-type]
    body = SGD(problem.model[0].parameters(), lr=LR)
    with pytest.raises(ValueError, match="last: expected parameters of the optimiser among the last of the model"):
        meta_step(problem.model, body, *problem.batches, last=2)
    assert all(parameter.requires_grad for parameter in problem.model.parameters())
