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
kinds = st.one_of(st.tuples(st.just(SGD), sgd), st.tuples(st.just(Adam), adam), st.tuples(st.just(AdamW), adam))


def capturable(choice: tuple[type[Optimizer], dict[str, Any]]) -> tuple[type[Optimizer], dict[str, Any]]:
    """The optimiser in the form that CUDA graphs need: fused, its learning rate a tensor."""
    kind, options = choice
    return kind, {**options, "fused": True, "lr": torch.tensor(options["lr"], dtype=torch.float64)}


optimizers = st.one_of(kinds, kinds.map(capturable))
max_norms = st.sampled_from([None, 0.05, 0.5, 100.0])
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
@given(optimizers, st.integers(0, 3), max_norms)
def test_the_lookahead_is_the_step_that_the_optimiser_then_takes(
    choice: tuple[type[Optimizer], dict[str, Any]], steps: int, max_norm: float | None
) -> None:
    problem = make_problem(network, (4,), 3)
    optimizer = train_steps(problem, *choice, steps)
    meta_step(problem.model, optimizer, *problem.batches, max_grad_norm=max_norm)
    lookahead = Lookahead(optimizer, max_grad_norm=max_norm)
    with torch.no_grad():
        places = lookahead.parameters_after([parameter.grad for parameter in lookahead.parameters])
    if max_norm is not None:
        nn.utils.clip_grad_norm_(problem.model.parameters(), max_norm)
    optimizer.step()
    for parameter, place in zip(lookahead.parameters, places, strict=True):
        # Adam divides by roots of small numbers, which spreads a rounding of 1e-16 over a few more digits.
        torch.testing.assert_close(place, parameter.detach(), rtol=1e-12, atol=1e-14)


@several
@given(optimizers, st.integers(0, 3), max_norms, st.sampled_from([None, None, 0.2]))
def test_the_gradient_is_double_backward_through_that_step(
    choice: tuple[type[Optimizer], dict[str, Any]], steps: int, max_norm: float | None, lookahead_lr: float | None
) -> None:
    problem = make_problem(network, (4,), 3)
    optimizer = train_steps(problem, *choice, steps)
    other, other_optimizer = deepcopy((problem.model, optimizer))
    options: dict[str, Any] = {"max_grad_norm": max_norm, "lookahead_lr": lookahead_lr}
    with torch.random.fork_rng():
        found = meta_step(problem.model, optimizer, *problem.batches, **options)
    reference = meta_step(other, other_optimizer, *problem.batches, label_gradient="double_backward", **options)
    assert relative_error(found.gradient, reference.gradient) < 1e-8  # Adam: √v̂ near 0 magnifies rounding by 1/ε
    assert found.scale == reference.scale


@several
@given(sgd, st.integers(0, 2), max_norms)
def test_the_gradient_is_the_derivative_of_the_meta_loss_after_a_real_step(
    options: dict[str, Any], steps: int, max_norm: float | None
) -> None:
    """M(Y + hD) - M(Y - hD) over 2h, where each M is read after torch has really clipped and stepped."""
    problem = make_problem(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), (4,), 3)
    optimizer = train_steps(problem, SGD, options, steps)
    direction, h = torch.randn_like(problem.labels), 1e-5

    above, below = (
        meta_loss_after_step(problem, problem.labels + side * h * direction, optimizer, max_norm) for side in (1, -1)
    )
    slope = (above - below) / (2 * h)
    for estimator in EXACT_ESTIMATORS:
        copies = deepcopy((problem.model, optimizer))
        gradient = meta_step(*copies, *problem.batches, label_gradient=estimator, max_grad_norm=max_norm).gradient
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


class Output:
    """Logits in an object, as models of Hugging Face return them."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


class TextModel(nn.Module):
    """Mean of the embeddings of the tokens that the mask keeps, batch normalisation, dropout, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.out = nn.Embedding(11, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Output:
        kept = attention_mask.to(self.embed.weight.dtype)[:, :, None]
        mean = (self.embed(input_ids) * kept).sum(dim=1) / kept.sum(dim=1)
        return Output(self.out(nn.functional.dropout(self.norm(mean), 0.3)))


class PackedTextModel(nn.Module):
    """The same model of one tensor [batch, 2, tokens], which returns logits alone."""

    def __init__(self, body: TextModel) -> None:
        super().__init__()
        self.body = body

    def forward(self, packed: Tensor) -> Tensor:
        return self.body(packed[:, 0], packed[:, 1]).logits


def text_problem() -> Problem:
    """Batches of token indices and their mask, packed as one tensor."""
    problem = make_problem(lambda: PackedTextModel(TextModel()), (1,), 3)

    def tokens(batch: int) -> Tensor:
        mask = torch.ones(batch, 5, dtype=torch.int64).tril(diagonal=1)
        return torch.stack([torch.randint(11, (batch, 5)), mask], dim=1)

    return Problem(problem.model, tokens(6), problem.labels, tokens(5), problem.meta_targets)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("form", ["dict", "tuple", "the same tensor"])
def test_a_model_behind_a_function_gives_the_same_bits_as_the_bare_model(estimator: Any, form: str) -> None:
    problem = text_problem()
    packed, body = problem.model, deepcopy(problem.model.body)
    forms: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = {
        "dict": (
            lambda x: {"input_ids": x[:, 0], "attention_mask": x[:, 1]},
            lambda inputs: body(**inputs).logits,
        ),
        "tuple": (lambda x: (x[:, 0], x[:, 1]), lambda inputs: body(*inputs).logits),
        "the same tensor": (lambda x: x, lambda x: body(x[:, 0], x[:, 1]).logits),
    }
    make_inputs, compute_logits = forms[form]
    options = {"lr": 0.3, "momentum": 0.9}
    with torch.random.fork_rng():
        optimizer = SGD(packed.parameters(), **options)
        bare = meta_step(packed, optimizer, *problem.batches, label_gradient=estimator)
    inputs, labels, meta_inputs, meta_targets = problem.batches
    batches = make_inputs(inputs), labels, make_inputs(meta_inputs), meta_targets
    optimizer = SGD(body.parameters(), **options)
    step = meta_step(body, optimizer, *batches, label_gradient=estimator, compute_logits=compute_logits)
    assert step.gradient.abs().max() > 0
    assert step.scale == bare.scale
    for ours, theirs in zip(step[:4], bare[:4], strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(body.parameters(), packed.body.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
    for ours, theirs in zip(body.buffers(), packed.body.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_forward_equals_double_backward_behind_a_function() -> None:
    problem, gradients = text_problem(), []
    for estimator in EXACT_ESTIMATORS:
        body = deepcopy(problem.model.body)
        with torch.random.fork_rng():
            step = meta_step(
                body,
                SGD(body.parameters(), lr=0.3),
                *problem.batches,
                label_gradient=estimator,
                compute_logits=lambda x, body=body: body(x[:, 0], x[:, 1]).logits,
            )
        gradients.append(step.gradient)
    assert all(relative_error(gradient, gradients[-1]) < EXACT for gradient in gradients)


@pytest.mark.parametrize("estimator", EXACT_ESTIMATORS)
def test_parameters_that_the_optimiser_holds_outside_the_model_step_too(estimator: Any) -> None:
    problem = make_problem(lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), (4,), 3)
    whole = meta_step(problem.model, SGD(problem.model.parameters(), lr=0.1), *problem.batches)
    body, head = deepcopy(problem.model[:2]), deepcopy(problem.model[2])
    optimizer = SGD([*body.parameters(), *head.parameters()], lr=0.1)
    step = meta_step(
        body, optimizer, *problem.batches, label_gradient=estimator, compute_logits=lambda x: head(body(x))
    )
    assert relative_error(step.gradient, whole.gradient) < EXACT


@pytest.mark.parametrize("kind", [torch.optim.RMSprop, torch.optim.NAdam, SGD])
def test_with_a_lookahead_rate_the_optimiser_may_be_any(kind: Callable[..., Optimizer]) -> None:
    """The label gradient is that of plain SGD, and the model steps by its own optimiser."""
    problem = make_problem(network, (4,), 3)
    plain = deepcopy(problem.model)
    with torch.random.fork_rng():
        expected = meta_step(plain, SGD(plain.parameters(), lr=0.3), *problem.batches)
    optimizer = kind(problem.model.parameters(), lr=0.01)
    step = meta_step(problem.model, optimizer, *problem.batches, lookahead_lr=0.3)
    assert torch.equal(step.gradient, expected.gradient)
    assert step.scale == expected.scale
    before = problem.model[0].weight.detach().clone()
    optimizer.step()
    assert not torch.equal(before, problem.model[0].weight)


def test_a_rate_schedule_enters_by_the_rate_that_the_next_step_takes() -> None:
    """scheduler.step() after optimizer.step(): each lookahead has the rate of the step that it foresees."""
    problem = make_problem(lambda: nn.Linear(4, 3), (4,), 3)
    optimizer = SGD(problem.model.parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    for rate in (0.5, 0.25, 0.125):
        expected = problem.gradient(rate)
        step = meta_step(problem.model, optimizer, *problem.batches)
        assert torch.equal(step.gradient, expected)
        assert step.scale == len(problem.labels) / rate
        optimizer.step()
        scheduler.step()


def test_a_step_is_shown_in_one_line() -> None:
    problem = make_problem(network, (4,), 3)
    step = meta_step(problem.model, SGD(problem.model.parameters(), lr=0.1), *problem.batches)
    shown = f"MetaStep(loss={float(step.loss):.4g}, meta_loss={float(step.meta_loss):.4g}, gradient=[6, 3], scale=60)"
    assert repr(step) == shown
