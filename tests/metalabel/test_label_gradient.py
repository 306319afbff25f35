"""∂M/∂Y: the methods agree with each other, with code that shares nothing with them, and with the closed form."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from harness.metalabel import compute_label_gradient, project_onto_simplex

from .problems import (
    ESTIMATORS,
    EXACT,
    EXACT_ESTIMATORS,
    Problem,
    Residual,
    by_double_backward,
    convolutional,
    drawn,
    meta_loss_after_step,
    perceptrons,
    random_state,
    relative_error,
)

rates = st.floats(1e-3, 2.0)
SMOOTH = ("gelu", "silu", "tanh")  # a ReLU at exactly 0 has no derivative
few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def check_against_double_backward(problem: Problem, lr: float) -> None:
    reference = by_double_backward(problem, lr)
    # Where cancellation leaves a gradient of pure rounding noise, relative agreement has no meaning.
    if float(reference.abs().max()) < 1e-14:
        return
    for estimator in EXACT_ESTIMATORS:
        found = problem.gradient(lr, estimator)
        assert relative_error(found, reference) < EXACT, estimator


@few
@given(perceptrons(), rates)
def test_forward_and_reverse_equal_double_backward_on_perceptrons(problem: Problem, lr: float) -> None:
    check_against_double_backward(problem, lr)


@few
@given(convolutional(), rates)
def test_forward_and_reverse_equal_double_backward_on_convolutional_networks(problem: Problem, lr: float) -> None:
    check_against_double_backward(problem, lr)


@settings(max_examples=25, deadline=None, derandomize=True)
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
    problem = drawn(
        lambda: nn.Linear(features, classes), (features,), classes, batch=batch, meta_batch=meta_batch, seed=seed
    )
    x, y, mx, mt = problem.batches
    w, b = (parameter.detach() for parameter in problem.model.parameters())

    residual = (x @ w.T + b).softmax(-1) - y
    w_ahead, b_ahead = w - lr * residual.T @ x / batch, b - lr * residual.sum(0) / batch
    meta_residual = ((mx @ w_ahead.T + b_ahead).softmax(-1) - mt) / meta_batch
    moved = x @ (meta_residual.T @ mx).T + meta_residual.sum(0)
    p = (x @ w.T + b).softmax(-1)
    expected = lr / batch * (moved - (p * moved).sum(-1, keepdim=True))

    assert relative_error(problem.gradient(lr), expected) < EXACT


@settings(max_examples=8, deadline=None, derandomize=True)
@given(perceptrons(), st.integers(0, 2**31))
def test_forward_equals_a_central_difference_of_the_meta_loss(problem: Problem, seed: int) -> None:
    """Along a direction that keeps the labels' row sums, M(Y + hD) - M(Y - hD) = 2h ⟨∂M/∂Y, D⟩ + O(h³)."""
    lr, h = 0.5, 1e-5
    torch.manual_seed(seed)
    direction = torch.randn_like(problem.labels)
    gradient = problem.gradient(lr)
    above, below = (meta_loss_after_step(problem, problem.labels + side * h * direction, lr) for side in (1, -1))
    # Rounding of M, about 1e-15, over 2h leaves 1e-10; the cubic term and the rare ReLU kink leave a little more.
    assert (above - below) / (2 * h) == pytest.approx(float((gradient * direction).sum()), rel=1e-4, abs=1e-8)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(perceptrons(SMOOTH))
def test_finite_difference_comes_close_to_forward(problem: Problem) -> None:
    exact = problem.gradient()
    close = problem.gradient(estimator="finite_difference")
    # In float64 the step is 1e-9 of the weights: rounding leaves about 1e-7 of log p, whatever the gradient's size.
    assert float((close - exact).abs().max()) < 1e-4 * float(exact.abs().max()) + 1e-7


class Tied(nn.Module):
    """An autoencoder's two halves on one weight, which is also scaled by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 4))
        self.scale = nn.Parameter(torch.rand(4) + 0.5)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out((x @ self.weight).tanh() @ self.weight.T @ (self.weight * self.scale))


class Attention(nn.Module):
    """A pre-norm transformer block on a sequence, in plain tensor code."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.position = nn.Linear(3, 6), nn.Parameter(torch.randn(4, 6))
        self.norm, self.mix = nn.LayerNorm(6), nn.Linear(6, 18)
        self.mlp = Residual(nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6)))
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(x) + self.position
        q, k, v = self.mix(self.norm(z)).unflatten(-1, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        z = z + ((q @ k.mT / 3**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.head(self.mlp(z).mean(dim=-2))


class Halves(nn.Module):
    """Splits, concatenates, writes into slices, and multiplies a tensor with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.out = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        left, right = torch.cat([self.one(x), self.two(x).exp()], dim=1).chunk(2, dim=1)
        both = torch.cat([left * left, right / (1 + left.abs())], dim=1)
        both = both.clone()
        both[:, 1] = left[:, 0] * 3 - right[:, 2]
        return self.out(both.clamp(-2, 2))


def frozen_stem() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    model[0].requires_grad_(False)
    return model


def biases_alone() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    for layer in (model[0], model[2]):
        layer.weight.requires_grad_(False)
    return model


def still_batch_norm() -> nn.Module:
    """Fine-tuning with the running statistics of one layer in use."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    model[1].eval()
    return model


def deconvolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, dilation=1),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1),
        nn.Hardswish(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.LazyLinear(3),
    )


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase] = nn.GRU) -> None:
        super().__init__()
        self.body, self.out = kind(3, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.body(x)[0][:, -1])


class Cells(nn.Module):
    """Two kinds of cells in a loop written out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru, self.out = nn.LSTMCell(3, 4), nn.GRUCell(3, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), 4)
        for t in range(x.shape[1]):
            h, c = self.lstm(x[:, t], (h, c))
            h = self.gru(x[:, t], h)
        return self.out(h)


class TiedEmbedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.body = nn.Embedding(3, 6, padding_idx=2), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        words = self.words((3 * x.abs()).long() % 3)
        return self.body(words.mean(dim=1)).tanh() @ self.words.weight.T


class Scattered(nn.Module):
    """Rows added to where they belong, as a mixture of experts does."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(4, 3), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.zeros(len(x), 3, dtype=x.dtype).index_add(0, torch.arange(len(x)).flip(0), self.wide(x))
        return rows.scatter_add(1, (x[:, :1] > 0).long(), self.narrow(x)).gather(1, torch.tensor([[2, 0, 1]] * len(x)))


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.shift = nn.Linear(4, 5), nn.Linear(5, 3), nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Tensor:
        z = self.one(x).mul_(2).add_(1).relu_()
        z = z.sub(self.shift).div_(3).exp_()
        z = z.flip(1).roll(1, dims=1)
        z[:, 0] = self.shift.sum()
        return self.two(z)


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.form = nn.Parameter(torch.randn(4, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bi,ijk,bj->bk", x, self.form, x.sin())


class Idle(nn.Module):
    """Parameters that are never read, or of which the logits are cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.cut = nn.Linear(4, 3), nn.Linear(2, 2), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x) * self.cut(x).detach().sigmoid()


class Cube(torch.autograd.Function):
    """x³ by hand, with a backward formula that autograd can differentiate."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class Cubed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(Cube.apply(self.before(x)))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "tied weights": (Tied, (5,)),
    "attention": (Attention, (4, 3)),
    "splits and writes": (Halves, (4,)),
    "frozen stem": (frozen_stem, (4,)),
    "biases alone": (biases_alone, (4,)),
    "BatchNorm in eval mode": (still_batch_norm, (3, 5, 5)),
    "deconvolution and pooling": (deconvolution, (3, 7, 7)),
    "GRU": (Recurrent, (6, 3)),
    "a function of one's own": (Cubed, (4,)),
    "1-d convolution": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.LazyLinear(3)),
        (3, 6),
    ),
    "LSTM": (lambda: Recurrent(nn.LSTM), (6, 3)),
    "cells": (Cells, (5, 3)),
    "embedding that is also the last layer": (TiedEmbedding, (5,)),
    "scattered rows": (Scattered, (4,)),
    "writes in place": (InPlace, (4,)),
    "einsum": (Einsum, (4,)),
    "a parameter without a path": (Idle, (4,)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (4,)),
    "channel dropout": (
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.Dropout2d(0.4), nn.Flatten(), nn.LazyLinear(3)),
        (3, 5, 5),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_any_model_that_autograd_can_follow_has_an_exact_gradient(name: str) -> None:
    build, shape = MODELS[name]

    def ready() -> nn.Module:
        model = build()
        model(torch.randn(2, *shape))  # lazy layers take their shapes
        return model

    classes = ready()(torch.randn(2, *shape)).shape[-1]
    problem = drawn(ready, shape, classes)
    for parameter in problem.model.parameters():
        assert parameter.dtype == torch.float64
    with torch.backends.cudnn.flags(enabled=False):  # cuDNN's recurrent layers have no double backward to compare with
        check_against_double_backward(problem, 0.2)


class Checkpointed(nn.Module):
    """Activations of the body are computed again when they are needed, or kept."""

    def __init__(self, body: nn.Module, *, saves_memory: bool) -> None:
        super().__init__()
        self.body, self.saves_memory = body, saves_memory

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.body, x, use_reentrant=False) if self.saves_memory else self.body(x)


def test_checkpointing_changes_nothing() -> None:
    """Compared with the plain network: under `functional_call` a checkpoint would recompute at the wrong weights."""

    def gradient(saves_memory: bool) -> Tensor:
        def build() -> nn.Module:
            body = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.4), nn.Linear(6, 5))
            return nn.Sequential(Checkpointed(body, saves_memory=saves_memory), nn.Linear(5, 3))

        problem = drawn(build, (4,), 3)
        return problem.gradient(0.2)

    assert torch.equal(gradient(saves_memory=True), gradient(saves_memory=False))


def noisy_problem() -> Problem:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(36, 5)
        )

    return drawn(build, (3, 5, 5), 5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_model_its_gradients_and_the_random_state_are_left_as_they_were(estimator: str) -> None:
    problem = noisy_problem()
    model = problem.model
    F.cross_entropy(model(problem.inputs), problem.labels).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    values = [None if gradient is None else gradient.clone() for gradient in gradients]
    state, drawn_from = {k: v.clone() for k, v in model.state_dict().items()}, random_state()
    tensors = [t.data_ptr() for t in (*model.parameters(), *model.buffers())]

    compute_label_gradient(model, *problem.batches, lookahead_lr=0.3, label_gradient=estimator)

    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert tensors == [t.data_ptr() for t in (*model.parameters(), *model.buffers())]
    for parameter, gradient, value in zip(model.parameters(), gradients, values, strict=True):
        assert parameter.grad is gradient
        assert gradient is None or value is None or torch.equal(gradient, value)
    assert torch.equal(drawn_from, random_state())
    assert model.training
    assert not problem.labels.requires_grad


def test_arguments_that_require_grad_are_taken_for_their_values() -> None:
    problem = noisy_problem()
    expected = problem.gradient()
    arguments = [tensor.clone().requires_grad_() for tensor in problem.batches]
    for estimator in EXACT_ESTIMATORS:
        found = compute_label_gradient(problem.model, *arguments, lookahead_lr=0.3, label_gradient=estimator)
        assert not found.requires_grad
        assert relative_error(found, expected) < EXACT
    assert all(tensor.grad is None for tensor in arguments)


def test_the_model_is_left_as_it_was_when_a_pass_fails() -> None:
    problem = noisy_problem()
    state = {k: v.clone() for k, v in problem.model.state_dict().items()}
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        compute_label_gradient(
            problem.model,
            problem.inputs,
            problem.labels,
            torch.randn(4, 3, 9, 9).double(),
            problem.labels[:4],
            lookahead_lr=1,
        )
    assert all(torch.equal(state[name], tensor) for name, tensor in problem.model.state_dict().items())
    assert all(parameter.grad is None for parameter in problem.model.parameters())


def test_dropout_keeps_the_training_mask_in_the_derivative() -> None:
    """A mask drawn anew would leave a gradient that differs from double backward's in nearly every entry."""
    problem = drawn(lambda: nn.Sequential(nn.Linear(6, 40), nn.Dropout(0.5), nn.Linear(40, 4)), (6,), 4)
    assert relative_error(problem.gradient(), by_double_backward(problem, 0.3)) < EXACT
    assert torch.equal(
        problem.gradient(),
        problem.gradient(),
    )


def test_the_class_labels_gradient_is_the_sum_over_their_instances() -> None:
    problem = drawn(lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), (4,), 3, batch=7)
    classes = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    table = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]], dtype=torch.float64).requires_grad_()
    x, _, mx, mt = problem.batches
    weights = dict(problem.model.named_parameters())
    loss = F.cross_entropy(problem.model(x), table[classes])
    gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    ahead = {name: w - 0.4 * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
    meta_loss = F.cross_entropy(torch.func.functional_call(problem.model, ahead, mx), mt)
    (by_table,) = torch.autograd.grad(meta_loss, table)

    rows = compute_label_gradient(problem.model, x, table.detach()[classes], mx, mt, lookahead_lr=0.4)
    by_class = torch.zeros(3, 3, dtype=torch.float64).index_add_(0, classes, rows)
    assert relative_error(by_class, by_table) < EXACT


@settings(max_examples=15, deadline=None, derandomize=True)
@given(perceptrons())
def test_a_step_down_the_label_gradient_lowers_the_meta_loss(problem: Problem) -> None:
    lr = 0.1
    gradient = problem.gradient(lr)
    feasible = project_onto_simplex(problem.labels - 1e-4 * gradient / gradient.norm().clamp(min=1e-30))
    descent = float(((feasible - problem.labels) * gradient).sum())
    if descent > -1e-9:  # the gradient vanishes, or points out of the simplex
        return
    assert meta_loss_after_step(problem, feasible, lr) < meta_loss_after_step(problem, problem.labels, lr)


def test_bfloat16_autocast_gives_the_gradient_to_its_precision(device: str) -> None:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5)
        )

    problem = drawn(build, (3, 8, 8), 5, batch=16, meta_batch=16, dtype=torch.float32)
    exact = problem.gradient(0.1)
    with torch.autocast(device, torch.bfloat16):
        close = problem.gradient(0.1)
    # bfloat16 rounds to 2⁻⁹; some fifteen operations in a row, each through differences of larger numbers.
    assert relative_error(close, exact) < 0.1


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_under_autocast_the_meta_set_is_read_at_the_lookahead(estimator: str, device: str) -> None:
    """Autocast keeps its casts of the weights; a rate this large leaves nothing in common with the gradient at θ."""

    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 5))

    problem = drawn(build, (3, 2, 2), 5, batch=16, meta_batch=16, dtype=torch.float32)
    lr = 10.0
    exact = problem.gradient(lr)
    at_the_weights_now = problem.gradient(1e-4) * (lr / 1e-4)
    assert relative_error(at_the_weights_now, exact) > 0.5
    with torch.autocast(device, torch.bfloat16):
        found = problem.gradient(lr, estimator)
    assert relative_error(found, exact) < 0.1


def test_a_pass_repeated_starts_from_the_buffers_of_the_training_pass() -> None:
    """Spectral norm's power iteration moves with each pass, and enters the weights."""

    def build() -> nn.Module:
        spectral = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6))
        return nn.Sequential(spectral, nn.Tanh(), nn.Linear(6, 3))

    problem = drawn(build, (4,), 3)
    before = [buffer.clone() for buffer in problem.model.buffers()]
    reference = problem.gradient(estimator="double_backward")
    for estimator in EXACT_ESTIMATORS:
        found = problem.gradient(estimator=estimator)
        assert relative_error(found, reference) < EXACT
    assert all(torch.equal(b, a) for b, a in zip(before, problem.model.buffers(), strict=True))


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_it_can_be_called_where_gradients_are_off(around: Callable[[], Any]) -> None:
    problem = noisy_problem()
    for estimator in EXACT_ESTIMATORS:
        expected = problem.gradient(estimator=estimator)
        with around():
            copies = [tensor.clone() for tensor in problem.batches]
            found = compute_label_gradient(problem.model, *copies, lookahead_lr=0.3, label_gradient=estimator)
        assert torch.equal(found, expected)
        assert torch.equal(
            compute_label_gradient(problem.model, *copies, lookahead_lr=0.3, label_gradient=estimator), expected
        )


def test_labels_of_a_narrower_type_are_taken_for_their_values() -> None:
    problem = noisy_problem()
    narrow, narrow_meta = problem.labels.float(), problem.meta_targets.float()
    wide = Problem(problem.model, problem.inputs, narrow.double(), problem.meta_inputs, narrow_meta.double())
    expected = by_double_backward(wide, 0.3)
    for estimator in EXACT_ESTIMATORS:
        found = compute_label_gradient(
            problem.model,
            problem.inputs,
            narrow,
            problem.meta_inputs,
            narrow_meta,
            lookahead_lr=0.3,
            label_gradient=estimator,
        )
        assert relative_error(found, expected) < EXACT


def test_hooks_fire_in_the_training_and_in_the_meta_pass() -> None:
    problem, calls = noisy_problem(), []
    problem.model[2].register_forward_hook(lambda module, _, out: calls.append(("forward", len(out))))
    problem.model[2].register_full_backward_hook(lambda module, _, out: calls.append(("backward", len(out[0]))))
    problem.gradient()
    assert calls == [("forward", 6), ("backward", 6), ("forward", 5), ("backward", 5)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("part", ["model", "layer", "wrapped"])
def test_a_compiled_model_has_the_gradient_of_the_plain_one(estimator: str, part: str) -> None:
    plain, problem = noisy_problem(), noisy_problem()
    model = problem.model
    if part == "wrapped":
        model = torch.compile(model, backend="aot_eager")
    else:
        (model if part == "model" else model[0]).compile(backend="aot_eager")
    expected = plain.gradient(estimator=estimator)
    found = compute_label_gradient(model, *problem.batches, lookahead_lr=0.3, label_gradient=estimator)
    # The meta pass's dropout is drawn by the compiled graph; `aot_eager` draws as the code does.
    assert relative_error(found, expected) < (1e-6 if estimator == "finite_difference" else EXACT)


class FusedAttention(nn.Module):
    """A head of fused attention, whose kernel has no second derivative."""

    def __init__(self, **options: float) -> None:
        super().__init__()
        self.mix, self.head, self.options = nn.Linear(6, 18), nn.Linear(6, 3), options

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.mix(x).unflatten(-1, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        z = nn.functional.scaled_dot_product_attention(q, k, v, **self.options)
        return self.head(z.transpose(1, 2).flatten(2).mean(dim=1))


class GroupedAttention(nn.Module):
    """Four heads of queries share two of keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.keys, self.values, self.head = (nn.Linear(8, n) for n in (8, 4, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (m(x).unflatten(-1, (-1, 2)).transpose(1, 2) for m in (self.queries, self.keys, self.values))
        z = nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return self.head(z.transpose(1, 2).flatten(2).mean(dim=1))


@pytest.fixture
def fused_in_float64(device: str) -> None:
    if device != "cpu":
        pytest.skip("fused attention takes float64 on a CPU alone")


@pytest.mark.usefixtures("fused_in_float64")
def test_fused_attention_with_grouped_queries_has_a_rule() -> None:
    problem = drawn(GroupedAttention, (5, 8), 3)
    with sdpa_kernel(SDPBackend.MATH):
        reference = problem.gradient(estimator="double_backward")
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        found = problem.gradient()
    assert relative_error(found, reference) < EXACT


@pytest.mark.usefixtures("fused_in_float64")
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}])
def test_fused_attention_has_a_rule_where_it_has_no_double_backward(options: dict[str, float]) -> None:
    problem = drawn(lambda: FusedAttention(**options), (5, 6), 3)
    with sdpa_kernel(SDPBackend.MATH):
        reference = problem.gradient(estimator="double_backward")
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        found = problem.gradient()
        with pytest.raises(RuntimeError, match="not implemented"):
            problem.gradient(estimator="double_backward")
    assert relative_error(found, reference) < EXACT


class Fixed(torch.autograd.Function):
    """A forward pass whose backward formula cannot be differentiated."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return x.cos() * grad


class Opaque(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(Fixed.apply(self.before(x)))


def test_an_operation_without_a_rule_is_named_with_the_method_to_use() -> None:
    problem = drawn(Opaque, (4,), 3)
    with pytest.raises(ValueError, match=r"FixedBackward has no forward-mode rule.*finite_difference"):
        problem.gradient(0.1)
    found = problem.gradient(0.1, "finite_difference")
    assert found.abs().max() > 0
    assert all(parameter.grad is None for parameter in problem.model.parameters())
