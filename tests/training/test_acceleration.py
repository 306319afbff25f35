"""Switches of how a run is computed leave what it is, to the rounding they bring."""

from collections.abc import Callable
from functools import partialmethod

import pytest
import torch
from torch import nn

from harness.training.config.checks import check_config
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError
from harness.training.run import Run
from tests.training.run_helpers import epochs, same_state, through_a_file

MLP = RunConfig(noise="symmetric", noise_rate=0.4, width=16, epochs=4, meta_batch_size=60, meta_interval=3)
CNN = MLP.model_copy(update={"model": "cnn", "width": 4, "meta_size": 50, "batch_size": 256, "meta_interval": 2})


def changed(config: RunConfig, **settings: object) -> RunConfig:
    return config.model_copy(update=settings)


def largest_difference(config: RunConfig, other: RunConfig) -> float:
    """Between the losses and the learned labels of two epochs."""
    runs = Run(config), Run(other)
    curves = [epochs(run, 2) for run in runs]
    losses = [[metrics[name] for metrics in curve for name in ("train_loss", "val_loss")] for curve in curves]
    labels = float((runs[0].soft_labels - runs[1].soft_labels).abs().max())
    return max(labels, *(abs(a - b) for a, b in zip(*losses, strict=True)))


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of `torch.compile` but for the making of machine code, which takes half a minute a graph."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))


@pytest.mark.parametrize("config", [MLP, CNN, changed(MLP, method="reweighting")], ids=["mlp", "cnn", "reweighting"])
@pytest.mark.parametrize("method", ["forward_recompute", "double_backward"])
def test_exact_label_gradients_give_the_same_run(config: RunConfig, method: str) -> None:
    # Float32 keeps 1e-7; two epochs of steps and the simplex's corners widen it.
    assert largest_difference(config, changed(config, label_gradient=method)) < 1e-4


def test_finite_differences_give_nearly_the_same_run() -> None:
    assert 0 < largest_difference(MLP, changed(MLP, label_gradient="finite_difference")) < 1e-2


def test_channels_last_changes_the_memory_format_and_nothing_else() -> None:
    config = changed(CNN, channels_last=True)
    weights = [weight for weight in Run(config).model.parameters() if weight.dim() == 4]
    assert len(weights) == 3
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    assert largest_difference(CNN, config) < 1e-3  # sums in another order, over two epochs
    assert largest_difference(MLP, changed(MLP, channels_last=True)) == 0


@pytest.mark.parametrize("config", [MLP, CNN], ids=["mlp", "cnn"])
def test_bfloat16_reaches_every_pass_and_leaves_weights_and_logits_in_float32(config: RunConfig) -> None:
    run, kinds, outer = Run(changed(config, amp="bf16")), set(), set()
    layers = [module for module in run.model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    for layer in layers:
        layer.register_forward_hook(lambda module, _, out: kinds.add((module.training, out.dtype)))
    run.model.register_forward_hook(lambda module, _, out: outer.add(out.dtype))
    epochs(run, 1)
    assert kinds == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert outer == {torch.float32}
    assert {weight.dtype for weight in run.model.parameters()} == {torch.float32}
    assert run.soft_labels.dtype == torch.float32


@pytest.mark.parametrize("method", ["forward", "forward_recompute", "double_backward"])
def test_a_bfloat16_run_stays_close_to_a_plain_one(method: str) -> None:
    # 2⁻⁹ of each number and some twenty label steps of a few hundredths each.
    assert 0 < largest_difference(MLP, changed(MLP, amp="bf16", label_gradient=method)) < 0.05


@pytest.mark.parametrize(
    ("config", "method"),
    [
        (MLP, "forward"),
        (MLP, "forward_recompute"),
        (MLP, "double_backward"),
        (MLP, "finite_difference"),
        pytest.param(CNN, "forward", marks=pytest.mark.slow),
    ],
    ids=["forward", "forward_recompute", "double_backward", "finite_difference", "cnn"],
)
def test_a_compiled_run_equals_a_plain_one(config: RunConfig, method: str, quick_compiler: None) -> None:
    plain = changed(config, label_gradient=method)
    # Finite differences magnify the rounding in which the two differ.
    assert largest_difference(plain, changed(plain, compile=True)) < (1e-2 if method == "finite_difference" else 1e-4)


def test_plain_step_meta_pass_and_evaluation_are_compiled_and_the_label_steps_training_pass_is_not(
    quick_compiler: None,
) -> None:
    run, passes = Run(changed(MLP, compile=True)), []
    original: Callable[..., torch.Tensor] = run.model.forward

    def seen(inputs: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_compiling():
            passes.append(len(inputs))  # dynamo leaves this out of what it compiles
        return original(inputs)

    run.model.forward = seen  # type: ignore[method-assign]
    epochs(run, 1)
    steps = -(-len(run.splits.train) // MLP.batch_size)
    assert passes == [MLP.batch_size] * -(-steps // MLP.meta_interval)


@pytest.mark.parametrize(
    "config",
    [MLP, pytest.param(changed(CNN, amp="bf16", channels_last=True), marks=pytest.mark.slow)],
    ids=["mlp", "cnn"],
)
def test_a_compiled_run_is_taken_up_bit_for_bit(config: RunConfig, quick_compiler: None) -> None:
    config = changed(config, compile=True)
    whole, first = Run(config), Run(config)
    curve = epochs(whole, 4)
    assert epochs(first, 2) == curve[:2]
    state = through_a_file(first.state_dict())
    second = Run(config)
    second.load_state_dict(state)
    assert epochs(second, 2) == curve[2:]
    assert same_state(second.state_dict(), whole.state_dict())
    assert state["model"].keys() == Run(changed(config, compile=False)).model.state_dict().keys()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Inductor's own, which differ from machine to machine
def test_machine_code_gives_the_same_run_and_can_be_taken_up() -> None:
    config = changed(MLP, compile=True)
    whole, first = Run(config), Run(config)
    curve = epochs(whole, 4)
    epochs(first, 2)
    second = Run(config)
    second.load_state_dict(through_a_file(first.state_dict()))
    for ours, resumed in zip(curve[2:], epochs(second, 2), strict=True):
        assert resumed == pytest.approx(ours, rel=1e-5)
    for ours, plain in zip(curve, epochs(Run(MLP), 4), strict=True):
        assert ours["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-4)


def test_finite_differences_in_bfloat16_are_refused_with_what_to_do() -> None:
    config = changed(MLP, amp="bf16", label_gradient="finite_difference")
    assert ["choose forward, or amp: none" in problem for problem in check_config(config)] == [True]
    with pytest.raises(DataError, match=r"label_gradient: expected an exact estimator beside amp: bf16"):
        Run(config)
    assert check_config(changed(config, method="one_hot")) == []


def test_compiling_without_a_compiler_is_reported_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    config = changed(MLP, compile=True)
    assert check_config(config) == []
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    (problem,) = check_config(config)
    assert problem.startswith("compile: expected a C++ compiler")
