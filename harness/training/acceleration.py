"""Speed and memory of a run: settings that change how it is computed, and nothing else.

    channels_last    weights and activations in channels-last memory format, fastest for convolutions
    amp: bf16        matrix products and convolutions in bfloat16 by autocast; weights, logits and labels in float32
    deterministic    deterministic CUDA kernels: the same run bit for bit
    compile          `torch.compile` with a dynamic batch size
    graph            model steps as CUDA graphs (`harness.training.graphs`)

Channels-last and compiled runs differ from plain ones by rounding, bfloat16 by 2⁻⁹ of each number.
"""

import os
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.training.config.run_config import RunConfig


class Bfloat16Autocast(nn.Module):
    """`network` under bfloat16 autocast, its logits in float32. Losses and labels stay outside of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16):
            logits: Tensor = self.network(inputs)
        return logits.float()


def set_deterministic(enabled: bool) -> None:
    """Turn deterministic CUDA kernels on or off; operations that have none go on, with a warning.

    To be called before the first matrix product on a GPU: cuBLAS reads the size of its workspace then.
    """
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Nothing here reads memory that it has not written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(enabled, warn_only=True)


def apply_precision(model: nn.Module, config: RunConfig) -> nn.Module:
    """Return the model in the memory format and precision of the run."""
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return Bfloat16Autocast(model) if config.amp == "bf16" else model


def compile_in_place(model: nn.Module) -> None:
    """Compile calls of `model` at their first; parameter names, weights and state stay as they are.

    A compiled graph is one opaque operation: the training pass of a label step runs uncompiled. One graph serves all
    batch sizes, so that a resumed run computes as it would have gone on. Dynamo's cache, which the runs of a process
    share, is reset: otherwise many runs would reach its recompile limit and silently run uncompiled.
    """
    torch.compiler.reset()
    model.compile(dynamic=True)


def capturable_options(optimizer: str, enabled: bool) -> dict[str, Any]:
    """Return the options by which torch's sgd, adam or adamw take a step without a value that Python reads or counts.

    The learning rate is then to be a tensor. Steps on a GPU take this form whether they are captured or not, so that
    both give the same numbers.
    """
    fused = {"fused": True if enabled else None}
    return fused if optimizer == "sgd" else fused | {"capturable": enabled}


def is_capturable(optimizer: Optimizer) -> bool:
    """Whether it was made with `capturable_options`."""
    return bool(optimizer.defaults.get("fused"))
