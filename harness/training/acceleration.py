"""How a run is computed, where that changes its speed and memory and not what it is.

    channels_last    weights, and so activations, with channels innermost: what convolutions are fastest in
    amp: bf16        matrix products and convolutions in bfloat16 by autocast; weights, logits and labels in float32
    deterministic    on a GPU, sums in one order: the same run to the same bits
    compile          passes through `torch.compile`, whole graphs with a batch size left open

Channels-last and compiled runs differ from plain ones by rounding, bfloat16 by 2⁻⁹ of each number. A compiled graph is
one opaque operation, so `harness.metalabel` runs the training pass of a label step uncompiled and its meta pass
compiled; all steps without label updates, and evaluation, are compiled wholly.
"""

import os

import torch
from torch import Tensor, nn

from harness.training.config.run_config import RunConfig


class InBfloat16(nn.Module):
    """`network` under bfloat16 autocast, its logits in float32. Losses and labels stay outside of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16):
            logits: Tensor = self.network(inputs)
        return logits.float()


def in_one_order(asked: bool) -> None:
    """Let what this process computes on GPUs be the same to the bit each time, or let it take the faster way.

    An operation that cuDNN or torch can only do in the order in which threads come goes on so, with a warning. Before
    the process first multiplies on a GPU: cuBLAS reads its workspace's size then.
    """
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # Nothing here reads memory that it has not written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(asked, warn_only=True)


def arranged(model: nn.Module, config: RunConfig) -> nn.Module:
    """The model in the memory format and precision of the run."""
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    return InBfloat16(model) if config.amp == "bf16" else model


def compile_in_place(model: nn.Module) -> None:
    """Let calls of `model` be compiled at their first; names, weights and state stay as they are.

    Compiled code is kept by the code that it was made from, and calls of any module are the same code: a process that
    goes through many runs would soon meet dynamo's limit and be left uncompiled without a word. So each run starts
    afresh; Inductor's cache on disk gives back what an earlier one compiled. One graph serves all batch sizes: a run
    taken up again computes as it would have gone on.
    """
    torch.compiler.reset()
    model.compile(dynamic=True)
