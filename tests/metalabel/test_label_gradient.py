"""∂M/∂Y: the estimators agree with each other, with independent code, and with the closed form."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from harness.metalabel import project_onto_simplex

from .models import MODELS, Custom, OnceDifferentiable, custom_function, fused_attention, grouped_attention
from .problems import (
    ESTIMATORS,
    EXACT,
    EXACT_ESTIMATORS,
    Problem,
    by_double_backward,
    convolutional,
    make_problem,
    meta_loss_after_step,
    perceptrons,
    problem_of_model,
    random_state,
    relative_error,
)

SMOOTH = ("gelu", "silu", "tanh")  # a ReLU at exactly 0 has no derivative
rates = st.floats(1e-3, 2.0)


def examples(count: int) -> settings:
    suppressed = [HealthCheck.too_slow]
    return settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=suppressed)


def assert_exact(problem: Problem, reference: Tensor, lr: float = 0.3) -> None:
    """Every exact estimator gives the reference."""
    # Where cancellation leaves a gradient of pure rounding noise, relative agreement has no meaning.
    if float(reference.abs().max()) < 1e-14:
        return
    for estimator in EXACT_ESTIMATORS:
        assert relative_error(problem.gradient(lr, estimator), reference) < EXACT, estimator


@examples(80)
@given(st.one_of(perceptrons(), convolutional()), rates)
def test_exact_estimators_equal_double_backward(problem: Problem, lr: float) -> None:
    assert_exact(problem, by_double_backward(problem, lr), lr)


@examples(25)
@given(
    features=st.integers(1, 6),
    classes=st.integers(2, 7),
    batch=st.integers(1, 9),
    meta_batch=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    lr=rates,
)
def test_forward_equals_the_closed_form_on_a_linear_softmax_model(
    features: int, classes: int, batch: int, meta_batch: int, seed: int, lr: float
) -> None:
    """With f = W x + b: ⟨∇ log p_c(x), (V, u)⟩ = (e_c - p)ᵀ (V x + u), and ∇M is the mean of (p' - t)(x', 1)ᵀ."""
    problem = make_problem(
        lambda: nn.Linear(features, classes), (features,), classes, batch=batch, meta_batch=meta_batch, seed=seed
    )
    x, y, mx, mt = problem.batches
    w, b = (parameter.detach() for parameter in problem.model.parameters())

    p = (x @ w.T + b).softmax(-1)
    w_ahead, b_ahead = w - lr * (p - y).T @ x / batch, b - lr * (p - y).sum(0) / batch
    meta_residual = ((mx @ w_ahead.T + b_ahead).softmax(-1) - mt) / meta_batch
    tangent = x @ (meta_residual.T @ mx).T + meta_residual.sum(0)
    expected = lr / batch * (tangent - (p * tangent).sum(-1, keepdim=True))

    assert relative_error(problem.gradient(lr), expected) < EXACT


@examples(15)
@given(perceptrons(SMOOTH))
def test_finite_difference_comes_close_to_forward(problem: Problem) -> None:
    exact, close = problem.gradient(), problem.gradient(estimator="finite_difference")
    # In float64 the step is 1e-9 of the weights: rounding leaves about 1e-7 of log p, whatever the gradient's size.
    assert float((close - exact).abs().max()) < 1e-4 * float(exact.abs().max()) + 1e-7


@examples(15)
@given(perceptrons())
def test_a_step_down_the_label_gradient_lowers_the_meta_loss(problem: Problem) -> None:
    lr = 0.1
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=lr)
    gradient = problem.gradient(lr)
    feasible = project_onto_simplex(problem.labels - 1e-4 * gradient / gradient.norm().clamp(min=1e-30))
    descent = float(((feasible - problem.labels) * gradient).sum())
    if descent > -1e-9:  # the gradient vanishes, or points out of the simplex
        return
    assert meta_loss_after_step(problem, feasible, optimizer) < meta_loss_after_step(problem, problem.labels, optimizer)


@pytest.mark.parametrize("name", MODELS)
def test_any_model_that_autograd_can_follow_has_an_exact_gradient(name: str) -> None:
    problem = problem_of_model(name)
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN's recurrent layers have no double backward to compare with
        assert_exact(problem, by_double_backward(problem, 0.2), 0.2)


def test_checkpointing_changes_nothing() -> None:
    """Compared with the plain network: under `functional_call` a checkpoint would recompute at the wrong weights."""

    def gradient(call: Callable[..., Tensor]) -> Tensor:
        def build() -> nn.Module:
            body = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, 5))
            return nn.Sequential(Custom(lambda m, x: call(m.body, x), body=body), nn.Linear(5, 3))

        return make_problem(build, (4,), 3).gradient()

    checkpointed = gradient(lambda body, x: checkpoint(body, x, use_reentrant=False))
    assert torch.equal(checkpointed, gradient(lambda body, x: body(x)))


def noisy_problem() -> Problem:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(36, 5)
        )

    return make_problem(build, (3, 5, 5), 5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_model_its_gradients_and_the_random_state_are_left_as_they_were(estimator: str) -> None:
    problem = noisy_problem()
    model = problem.model
    F.cross_entropy(model(problem.inputs), problem.labels).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    values = [gradient.clone() for gradient in gradients]
    state, generators = {k: v.clone() for k, v in model.state_dict().items()}, random_state()
    storage = [t.data_ptr() for t in (*model.parameters(), *model.buffers())]

    problem.gradient(estimator=estimator)

    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert storage == [t.data_ptr() for t in (*model.parameters(), *model.buffers())]
    assert all(parameter.grad is gradient for parameter, gradient in zip(model.parameters(), gradients, strict=True))
    assert all(torch.equal(gradient, value) for gradient, value in zip(gradients, values, strict=True))
    assert torch.equal(generators, random_state())
    assert model.training
    assert not problem.labels.requires_grad


def test_the_model_is_left_as_it_was_when_a_pass_fails() -> None:
    problem = noisy_problem()
    state = {k: v.clone() for k, v in problem.model.state_dict().items()}
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        replace(problem, meta_inputs=torch.randn(5, 3, 9, 9).double()).gradient()
    assert all(torch.equal(state[name], tensor) for name, tensor in problem.model.state_dict().items())
    assert all(parameter.grad is None for parameter in problem.model.parameters())


def test_arguments_that_require_grad_are_taken_for_their_values() -> None:
    problem = noisy_problem()
    tracked = Problem(problem.model, *(tensor.clone().requires_grad_() for tensor in problem.batches))
    assert_exact(tracked, problem.gradient())
    assert not tracked.gradient(estimator="double_backward").requires_grad
    assert all(tensor.grad is None for tensor in tracked.batches)


def test_labels_of_a_narrower_type_are_taken_for_their_values() -> None:
    problem = noisy_problem()
    labels, targets = problem.labels.float(), problem.meta_targets.float()
    wide = replace(problem, labels=labels.double(), meta_targets=targets.double())
    assert_exact(replace(problem, labels=labels, meta_targets=targets), by_double_backward(wide, 0.3))


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_it_can_be_called_where_gradients_are_off(around: Callable[[], Any]) -> None:
    problem = noisy_problem()
    for estimator in EXACT_ESTIMATORS:
        expected = problem.gradient(estimator=estimator)
        with around():
            copies = Problem(problem.model, *(tensor.clone() for tensor in problem.batches))
            gradient = copies.gradient(estimator=estimator)
        assert torch.equal(gradient, expected)
        assert torch.equal(copies.gradient(estimator=estimator), expected)


def test_a_pass_repeated_starts_from_the_buffers_of_the_training_pass() -> None:
    """Spectral norm's power iteration moves with each pass, and enters the weights."""

    def build() -> nn.Module:
        spectral = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6))
        return nn.Sequential(spectral, nn.Tanh(), nn.Linear(6, 3))

    problem = make_problem(build, (4,), 3)
    before = [buffer.clone() for buffer in problem.model.buffers()]
    assert_exact(problem, problem.gradient(estimator="double_backward"))
    assert all(torch.equal(b, a) for b, a in zip(before, problem.model.buffers(), strict=True))


def test_hooks_fire_in_the_training_and_in_the_meta_pass() -> None:
    problem, calls = noisy_problem(), []
    problem.model[2].register_forward_hook(lambda module, _, out: calls.append(("forward", len(out))))
    problem.model[2].register_full_backward_hook(lambda module, _, out: calls.append(("backward", len(out[0]))))
    problem.gradient()
    assert calls == [("forward", 6), ("backward", 6), ("forward", 5), ("backward", 5)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_under_autocast_the_meta_set_is_read_at_the_lookahead(estimator: str, device: str) -> None:
    """Autocast keeps its casts of the weights; a rate this large leaves nothing in common with the gradient at θ."""

    def build() -> nn.Module:
        head = nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), *head)

    problem = make_problem(build, (3, 8, 8), 5, batch=16, meta_batch=16, dtype=torch.float32)
    lr = 10.0
    exact = problem.gradient(lr)
    assert relative_error(problem.gradient(1e-4) * (lr / 1e-4), exact) > 0.5
    with torch.autocast(device, torch.bfloat16):
        # bfloat16 rounds to 2⁻⁹; some fifteen operations in a row, each through differences of larger numbers.
        assert relative_error(problem.gradient(lr, estimator), exact) < 0.1


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("part", ["model", "layer", "wrapped"])
def test_a_compiled_model_has_the_gradient_of_the_plain_one(estimator: str, part: str) -> None:
    expected, problem = noisy_problem().gradient(estimator=estimator), noisy_problem()
    model = problem.model
    if part == "wrapped":
        model = torch.compile(model, backend="aot_eager")
    else:
        (model if part == "model" else model[0]).compile(backend="aot_eager")
    gradient = replace(problem, model=model).gradient(estimator=estimator)
    # The meta pass's dropout is drawn by the compiled graph; `aot_eager` draws as the code does.
    assert relative_error(gradient, expected) < (1e-6 if estimator == "finite_difference" else EXACT)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (fused_attention, (5, 6)),
        (lambda: fused_attention(is_causal=True), (5, 6)),
        (lambda: fused_attention(scale=0.3), (5, 6)),
        (grouped_attention, (5, 6)),
    ],
    ids=["plain", "causal", "scaled", "grouped queries"],
)
def test_fused_attention_has_a_rule_where_it_has_no_double_backward(
    build: Callable[[], nn.Module], shape: tuple[int, ...], device: str
) -> None:
    if device != "cpu":
        pytest.skip("fused attention takes float64 on a CPU alone")
    problem = make_problem(build, shape, 3)
    with sdpa_kernel(SDPBackend.MATH):
        reference = problem.gradient(estimator="double_backward")
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        gradient = problem.gradient()
        with pytest.raises(RuntimeError, match="not implemented"):
            problem.gradient(estimator="double_backward")
    assert relative_error(gradient, reference) < EXACT


def test_an_operation_without_a_rule_is_named_with_the_estimator_to_use() -> None:
    problem = make_problem(lambda: custom_function(OnceDifferentiable), (4,), 3)
    with pytest.raises(ValueError, match=r"OnceDifferentiableBackward has no forward-mode rule.*finite_difference"):
        problem.gradient()
    assert problem.gradient(estimator="finite_difference").abs().max() > 0
    assert all(parameter.grad is None for parameter in problem.model.parameters())
