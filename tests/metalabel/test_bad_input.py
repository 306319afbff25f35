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
        ({"inputs": torch.randn(0, 4).double(), "labels": torch.randn(0, 3).double()}, r"at least one input"),
        ({"lookahead_lr": 0.0}, r"lookahead_lr: expected a positive finite rate, got 0.0"),
        ({"lookahead_lr": "0.1"}, r"lookahead_lr: expected a positive finite rate, got '0.1'"),
        ({"labels": [[0.5, 0.5, 0.0]] * 6}, r"labels: expected a tensor, got list"),
        ({"lookahead_lr": float("nan")}, r"lookahead_lr: expected a positive finite rate, got nan"),
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
    with pytest.raises(ValueError, match=rf"model: expected logits \[batch, classes\], got {got}; wrap the model"):
        replace(problem, model=model.double().to(problem.inputs.device)).gradient(estimator=estimator)


def test_meta_step_refuses_an_optimiser_whose_step_it_cannot_foresee() -> None:
    problem = make_problem(lambda: nn.Linear(4, 3), (4,), 3)
    with pytest.raises(ValueError, match=r"expected torch.optim.SGD, Adam or AdamW, got RMSprop"):
        meta_step(problem.model, torch.optim.RMSprop(problem.model.parameters()), *problem.batches)
