"""One training step with a label gradient: a plain step's own numbers, and the gradient through the real optimiser."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from harness.metalabel import meta_step, soft_cross_entropy
from harness.metalabel.lookahead import Lookahead

from .problems import ESTIMATORS, EXACT, EXACT_ESTIMATORS, Problem, make_problem, meta_loss_after_step, relative_error

sgd = st.fixed_dictionaries(
    {
        "lr": st.floats(1e-3, 0.5),
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "dampening": st.sampled_from([0.0, 0.3]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
        "nesterov": st.booleans(),
        "maximize": st.booleans(),
    }
).filter(lambda o: not o["nesterov"] or (o["momentum"] > 0 and o["dampening"] == 0))
adam = st.fixed_dictionaries(
    {
        "lr": st.floats(1e-4, 0.1),
        "betas": st.sampled_from([(0.9, 0.999), (0.5, 0.8), (0.0, 0.9)]),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
        "amsgrad": st.booleans(),
        "maximize": st.booleans(),
    }
)
optimizers = st.one_of(st.tuples(st.just(SGD), sgd), st.tuples(st.just(Adam), adam), st.tuples(st.just(AdamW), adam))
several = settings(max_examples=40, deadline=None, derandomize=True)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)
    )


def train_steps(problem: Problem, kind: type[Optimizer], options: dict[str, Any], steps: int) -> Optimizer:
    """The problem's model a few steps on, under an optimiser with two groups, the second at a third of the rate."""
    first, *rest = problem.model.parameters()
    optimizer = kind([{"params": [first]}, {"params": rest, "lr": options["lr"] / 3}], **options)
    for _ in range(steps):
        optimizer.zero_grad()
        soft_cross_entropy(problem.model(problem.inputs), problem.labels).backward()
        optimizer.step()
    return optimizer


@several
@given(optimizers, st.integers(0, 3))
def test_the_lookahead_is_the_step_that_the_optimiser_then_takes(
    choice: tuple[type[Optimizer], dict[str, Any]], steps: int
) -> None:
    problem = make_problem(network, (4,), 3)
    optimizer = train_steps(problem, *choice, steps)
    meta_step(problem.model, optimizer, *problem.batches)
    lookahead = Lookahead(optimizer)
    with torch.no_grad():
        places = lookahead.parameters_after([parameter.grad for parameter in lookahead.parameters])
    optimizer.step()
    for parameter, place in zip(lookahead.parameters, places, strict=True):
        # Adam divides by roots of small numbers, which spreads a rounding of 1e-16 over a few more digits.
        torch.testing.assert_close(place, parameter.detach(), rtol=1e-12, atol=1e-14)


@several
@given(optimizers, st.integers(0, 3))
def test_the_gradient_is_double_backward_through_that_step(
    choice: tuple[type[Optimizer], dict[str, Any]], steps: int
) -> None:
    problem = make_problem(network, (4,), 3)
    optimizer = train_steps(problem, *choice, steps)
    other, other_optimizer = deepcopy((problem.model, optimizer))
    with torch.random.fork_rng():
        found = meta_step(problem.model, optimizer, *problem.batches)
    reference = meta_step(other, other_optimizer, *problem.batches, label_gradient="double_backward")
    assert relative_error(found.gradient, reference.gradient) < 1e-8  # Adam: √v̂ near 0 magnifies rounding by 1/ε
    assert found.scale == reference.scale


@several
@given(sgd, st.integers(0, 2))
def test_the_gradient_is_the_derivative_of_the_meta_loss_after_a_real_step(options: dict[str, Any], steps: int) -> None:
    """M(Y + hD) - M(Y - hD) over 2h, where each M is read after `torch.optim.SGD` has really stepped."""
    problem = make_problem(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), (4,), 3)
    optimizer = train_steps(problem, SGD, options, steps)
    direction, h = torch.randn_like(problem.labels), 1e-5

    above, below = (meta_loss_after_step(problem, problem.labels + side * h * direction, optimizer) for side in (1, -1))
    slope = (above - below) / (2 * h)
    for estimator in EXACT_ESTIMATORS:
        gradient = meta_step(*deepcopy((problem.model, optimizer)), *problem.batches, label_gradient=estimator).gradient
        # Rounding of M over 2h leaves 1e-10; the third derivative times h² as much again.
        assert slope == pytest.approx(float((gradient * direction).sum()), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_loss_and_statistics_are_those_of_a_plain_step(estimator: Any, dtype: torch.dtype) -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))

    problem = make_problem(build, (3, 5, 5), 3, dtype=dtype)
    plain = deepcopy(problem.model)
    loss = soft_cross_entropy(plain(problem.inputs), problem.labels)
    loss.backward()

    optimizer = SGD(problem.model.parameters(), lr=0.1)
    for parameter in problem.model.parameters():
        parameter.grad = torch.ones_like(parameter)  # what an earlier step left is not added to
    step = meta_step(problem.model, optimizer, *problem.batches, label_gradient=estimator)

    for ours, theirs in zip(problem.model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert torch.equal(ours.grad, theirs.grad)
    for (name, ours), theirs in zip(problem.model.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(ours, theirs), name
    torch.testing.assert_close(step.loss, loss.detach())
    assert torch.equal(step.logits, plain(problem.inputs).detach())
    assert not any(tensor.requires_grad for tensor in (step.loss, step.logits, step.meta_loss, step.gradient))


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_parameters_that_the_optimiser_does_not_hold_stay_where_they_are(kind: Callable[..., Optimizer]) -> None:
    """Only the last layer steps, so only its share of the derivative counts; the others' gradients are still filled."""
    problem = make_problem(network, (4,), 3)
    alone = deepcopy(problem.model)
    for parameter in alone[:-1].parameters():
        parameter.requires_grad_(False)
    with torch.random.fork_rng():
        some = meta_step(problem.model, kind(problem.model[-1].parameters(), lr=0.1), *problem.batches)
    frozen = meta_step(alone, kind(alone.parameters(), lr=0.1), *problem.batches)
    assert relative_error(some.gradient, frozen.gradient) < EXACT
    assert problem.model[0].weight.grad is not None


def test_a_rate_of_zero_gives_a_gradient_of_zero_and_a_scale_of_zero() -> None:
    problem = make_problem(network, (4,), 3)
    step = meta_step(problem.model, SGD(problem.model.parameters(), lr=0.0, momentum=0.9), *problem.batches)
    assert step.scale == 0
    assert torch.equal(step.gradient, torch.zeros_like(step.gradient))


def test_a_diverged_model_gives_a_loss_that_is_not_finite_and_no_exception() -> None:
    problem = make_problem(network, (4,), 3)
    with torch.no_grad():
        problem.model[0].weight.fill_(float("nan"))
    step = meta_step(problem.model, SGD(problem.model.parameters(), lr=0.1), *problem.batches)
    assert step.loss.isnan()


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.5, True), (0.9, True)])
def test_the_scaled_gradient_does_not_depend_on_batch_size_or_model_rate(momentum: float, nesterov: bool) -> None:
    """(B/s) ∂M/∂y_i = ⟨∇ log p(x_i), v⟩: doubling the batch by repeating it changes nothing, nor does the rate, as it
    goes to zero and θ' to θ."""
    problem = make_problem(lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), (4,), 3)

    def scaled(lr: float, times: int) -> Tensor:
        model = deepcopy(problem.model)
        optimizer = SGD(model.parameters(), lr=lr, momentum=momentum, nesterov=nesterov)
        batch = problem.inputs.repeat(times, 1), problem.labels.repeat(times, 1)
        step = meta_step(model, optimizer, *batch, problem.meta_inputs, problem.meta_targets)
        return step.gradient[: len(problem.inputs)] * step.scale

    reference = scaled(1e-6, 1)
    assert relative_error(scaled(1e-6, 2), reference) < EXACT
    # v moves by rate × Hessian × gradient: first order in the rate, with entries of order one here.
    assert relative_error(scaled(1e-5, 1), reference) < 1e-4
