"""What does not fit is refused with what to pass instead, and before anything is computed."""

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from harness.metalabel import compute_label_gradient, meta_step

from .problems import ESTIMATORS, make_problem

NAMES = ("inputs", "labels", "meta_inputs", "meta_targets")


def compute(**changes: Any) -> None:
    problem = make_problem(lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), (4,), 3)
    arguments: dict[str, Any] = dict(zip(NAMES, problem.batches, strict=True)) | {"lookahead_lr": 0.1} | changes
    compute_label_gradient(arguments.pop("model", problem.model), **arguments)


def nan_at_start(*shape: int) -> torch.Tensor:
    tensor = torch.full(shape, 1.0 / shape[-1]).double()
    tensor.view(-1)[0] = float("nan")
    return tensor


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": torch.tensor([0, 1, 2, 0, 1, 2])}, r"labels: expected floating soft labels.*one_hot"),
        ({"meta_targets": torch.full((5,), 1.0)}, r"meta_targets: expected floating soft labels.*of shape \[5\]"),
        ({"labels": torch.full((4, 3), 1 / 3).double()}, r"inputs, labels: expected one label row per input"),
        ({"meta_inputs": torch.randn(2, 4).double()}, r"meta_inputs, meta_targets: expected one label row per input"),
        ({"labels": torch.full((6, 3), 0.5).double()}, r"labels: expected every row on the simplex.*off by 0.5"),
        ({"labels": torch.tensor([[1.5, -0.5, 0.0]] * 6).double()}, r"simplex.*least entry of -0.5"),
        ({"labels": torch.full((6, 4), 0.25).double()}, r"labels: expected \[6, 3\], the shape of the model's logits"),
        ({"meta_targets": torch.full((5, 2), 0.5).double()}, r"meta_targets: expected \[5, 3\]"),
        ({"inputs": nan_at_start(6, 4)}, r"inputs: expected finite values"),
        ({"labels": nan_at_start(6, 3)}, r"labels: expected finite values"),
        (
            {"inputs": torch.randn(0, 4).double(), "labels": torch.randn(0, 3).double()},
            r"labels: expected at least one row, got an empty batch",
        ),
        ({"lookahead_lr": 0.0}, r"lookahead_lr: expected a positive finite number, got 0.0"),
        ({"lookahead_lr": "0.1"}, r"lookahead_lr: expected a positive finite number, got '0.1'"),
        ({"labels": [[0.5, 0.5, 0.0]] * 6}, r"labels: expected a tensor, got list"),
        ({"lookahead_lr": float("nan")}, r"lookahead_lr: expected a positive finite number, got nan"),
        (
            {"label_gradient": "backward"},
            r"label_gradient: expected one of forward, .*, finite_difference, got 'backward'",
        ),
        ({"model": nn.Linear(4, 3).double().eval()}, r"model: expected train mode.*call model.train\(\)"),
        ({"model": nn.Linear(4, 3).double().requires_grad_(False)}, r"model: expected at least one parameter"),
    ],
)
def test_label_gradient_says_what_to_pass_instead(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        compute(**changes)


class Twice(nn.Linear):
    """Auxiliary logits beside the logits."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super().forward(x), super().forward(x)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("model", "shape", "got"), [(Twice(4, 3), (4,), "tuple"), (nn.Linear(4, 3), (2, 4), r"\[6, 2, 3\]")]
)
def test_a_model_without_plain_logits_is_refused(
    estimator: Any, model: nn.Module, shape: tuple[int, ...], got: str
) -> None:
    problem = make_problem(lambda: nn.Flatten(), shape, 3)
    with pytest.raises(ValueError, match=rf"model: expected logits \[batch, classes\], got {got}; pass compute_logits"):
        replace(problem, model=model.double().to(problem.inputs.device)).gradient(estimator=estimator)


def step(**changes: Any) -> None:
    problem = make_problem(lambda: nn.Linear(4, 3), (4,), 3)
    model = changes.pop("model", problem.model)
    optimizer = changes.pop("optimizer", torch.optim.SGD)(problem.model.parameters(), lr=0.1)
    arguments: dict[str, Any] = dict(zip(NAMES, problem.batches, strict=True)) | changes
    meta_step(model, optimizer, **arguments)


def without_graph(inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.randn(len(inputs), 3).double()


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": torch.optim.RMSprop}, r"torch.optim.SGD, Adam or AdamW, got RMSprop.*pass lookahead_lr"),
        ({"model": nn.Linear(4, 3).double()}, r"optimizer: expected parameters that the logits depend on.*got none"),
        ({"inputs": {"x": torch.ones(6, 4)}}, r"inputs: expected a tensor, got dict; .*compute_logits"),
        ({"meta_inputs": (torch.ones(5, 4),)}, r"meta_inputs: expected a tensor, got tuple; .*compute_logits"),
        ({"compute_logits": lambda x: {"logits": x}}, r"model: expected logits \[batch, classes\], got dict"),
        ({"compute_logits": without_graph}, r"model: expected logits that depend on its parameters"),
        (
            {"compute_logits": lambda x: nn.Linear(4, 3).double()(x)[:4]},
            r"labels: expected \[4, 3\].*one row per input",
        ),
        ({"model": nn.Linear(4, 3).double().requires_grad_(False)}, r"logits without a gradient; unfreeze"),
        ({"max_grad_norm": 0}, r"max_grad_norm: expected a positive finite number, got 0"),
        ({"lookahead_lr": float("nan")}, r"lookahead_lr: expected a positive finite number, got nan"),
        ({"labels": torch.tensor([0, 1, 2, 0, 1, 2])}, r"labels: expected floating soft labels.*one_hot"),
    ],
)
def test_meta_step_says_what_to_pass_instead(changes: dict[str, Any], message: str, estimator: Any) -> None:
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        step(**changes, label_gradient=estimator)


def test_inference_mode_is_refused_where_it_would_leave_no_gradient() -> None:
    with torch.inference_mode(), pytest.raises(ValueError, match="logits without a gradient"):
        step()


def test_logits_in_float16_are_refused_for_want_of_a_loss_scale() -> None:
    with pytest.raises(ValueError, match=r"got float16, .*use torch.autocast with torch.bfloat16"):
        step(compute_logits=lambda x: (x @ torch.ones(4, 3).double().requires_grad_()).half())


def test_a_model_of_several_processes_is_refused() -> None:
    model = nn.parallel.DistributedDataParallel.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(model)  # without a process group
    with pytest.raises(ValueError, match="expected a model of one process, got DistributedDataParallel"):
        step(model=model)
