"""Steps of optimisers need no `torch._dynamo`, a second of every worker's start, and are torch's own to the bit."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from harness.metalabel.torch_internals import optimizer_step
from harness.training.config.methods import METHODS
from harness.training.config.run_config import RunConfig
from harness.training.run import _optimizer

PROGRAM = """
import sys
from harness.training.config.run_config import RunConfig
from harness.training.run import Run
base = {"epochs": 4, "train_size": 64, "noise": "symmetric", "noise_rate": 0.4}
for settings in [{"method": name} for name in sys.argv[1:]] + [{"optimizer": "adam"}, {"optimizer": "adamw"}]:
    run = Run(RunConfig(**base, **settings))
    run.train_epoch()
    run.load_state_dict(run.state_dict())
    run.train_epoch()
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "momentum": 0.0, "nesterov": False},
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
        {"optimizer": "adam"},
        {"optimizer": "adamw", "weight_decay": 0.01},
    ],
)
def test_a_step_equals_torch_s_own_bit_for_bit(settings: dict[str, object]) -> None:
    torch.manual_seed(3)
    ours = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    theirs = copy.deepcopy(ours)
    config = RunConfig(lr=0.1, **settings)  # type: ignore[arg-type]
    optimizers = _optimizer(config, ours), _optimizer(config, theirs)
    for _ in range(5):
        inputs = torch.randn(4, 5)
        for model in (ours, theirs):
            model.zero_grad()
            model(inputs).square().sum().backward()
        optimizer_step(optimizers[0])
        optimizers[1].step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in ours.parameters())


def test_no_method_or_optimiser_imports_dynamo() -> None:
    methods = [name for name in METHODS if name != "distillation"]  # it needs a teacher
    program = [sys.executable, "-c", PROGRAM, *methods]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip() == "False"
